# Perl's RPC::XML. What it checks is listed in clients_test.go.
use strict;
use warnings;
use RPC::XML;
use RPC::XML::Client;

my ($node, $secret) = @ENV{qw(RM_NODE RM_SECRET)};
my $url = $ENV{RM_URL} =~ s{://}{://$node:$secret\@}r;
my $client = RPC::XML::Client->new($url, fault_handler => sub { return $_[0] }, error_handler => sub { die "transport: $_[0]\n" });

sub ask {
    my $reply = $client->send_request(@_);
    die "$_[0]: $reply\n" unless ref $reply;
    die "$_[0]: fault " . $reply->code . " " . $reply->string . "\n" if $reply->is_fault;
    return $reply->value;
}

sub flat {    # one text for any value, members in order
    my ($v) = @_;
    return '{' . join(',', map { "$_=" . flat($v->{$_}) } sort keys %$v) . '}' if ref $v eq 'HASH';
    return '[' . join(',', map { flat($_) } @$v) . ']' if ref $v eq 'ARRAY';
    return "$v";
}

sub check {
    my ($what, $got, $want) = @_;
    $got = flat($got);
    die "$what: got $got, want $want\n" if $got ne $want;
    print "ok $what\n";
}

sub stooges { my %s; @s{qw(moe larry curly)} = @_; return \%s }

check('arrayOfStructsTest', ask('validator1.arrayOfStructsTest', [stooges(1, 2, 3), stooges(4, 5, -6), stooges(7, 8, 90)]), 87);
check('countTheEntities', ask('validator1.countTheEntities', RPC::XML::string->new(q{a<b<c>d&e'f"g""})),
    '{ctAmpersands=1,ctApostrophes=1,ctLeftAngleBrackets=2,ctQuotes=3,ctRightAngleBrackets=1}');
check('easyStructTest', ask('validator1.easyStructTest', stooges(1, 20, 300)), 321);
check('echoStructTest', ask('validator1.echoStructTest', { int => -7, text => ' <&> ', inner => { list => [ 1, 'two', [] ] } }),
    '{inner={list=[1,two,[]]},int=-7,text= <&> }');
check('manyTypesTest',
    ask('validator1.manyTypesTest', RPC::XML::int->new(42), RPC::XML::boolean->new(1), RPC::XML::string->new('text'),
        RPC::XML::double->new(3.5), RPC::XML::datetime_iso8601->new('19980717T14:08:55'), RPC::XML::base64->new("you can't read this!")),
    "[42,1,text,3.5,19980717T14:08:55,you can't read this!]");
check('moderateSizeArrayCheck', ask('validator1.moderateSizeArrayCheck', [ map { "item $_;" } 0 .. 149 ]), 'item 0;item 149;');
check('nestedStructTest', ask('validator1.nestedStructTest',
    { 2000 => { '03' => { 31 => stooges(9, 9, 9) }, '04' => { '01' => stooges(1, 2, 4), '02' => stooges(9, 9, 9) } } }), 7);
check('simpleStructReturnTest', ask('validator1.simpleStructReturnTest', 7), '{times10=70,times100=700,times1000=7000}');

my $reply = ask('call.start', { map { $_->[0] => RPC::XML::string->new($_->[1]) }
    [ call_id => $ENV{RM_CALL_ID} ], [ node => $node ], [ channel => 'PJSIP/rpcxml-1' ], [ caller => $ENV{RM_CALLER} ],
    [ called => $ENV{RM_CALLED} ], [ presentation => 'allowed' ], [ trunk => '' ] });
check('call.start session', length $reply->{session} ? 'yes' : 'no', 'yes');
check('call.start target', $reply->{instructions}[-1]{targets}[0]{number}, $ENV{RM_TARGET});

my $fault = $client->send_request('validator1.noSuchTest');
check('fault', ref $fault && $fault->is_fault ? $fault->code : "$fault", -32601);
