<?php
// PHP's xmlrpc extension (xmlrpc-epi), over PHP's own HTTP streams. What it checks is listed in clients_test.go.
[$url, $node, $secret] = [getenv('RM_URL'), getenv('RM_NODE'), getenv('RM_SECRET')];

function ask(string $method, ...$parameters) {
    global $url, $node, $secret;
    $context = stream_context_create(['http' => [
        'method' => 'POST',
        'header' => ['Content-Type: text/xml', 'Authorization: Basic ' . base64_encode("$node:$secret")],
        'content' => xmlrpc_encode_request($method, $parameters),
        'timeout' => 10,
    ]]);
    $body = file_get_contents($url, false, $context);
    if ($body === false) {
        fwrite(STDERR, "$method: no answer\n");
        exit(1);
    }
    return xmlrpc_decode($body, 'UTF-8');
}

function check(string $what, $got, $want): void {
    if ($got != $want || gettype($got) !== gettype($want)) {
        fwrite(STDERR, "$what: got " . var_export($got, true) . ", want " . var_export($want, true) . "\n");
        exit(1);
    }
    echo "ok $what\n";
}

function stooges(int $moe, int $larry, int $curly): array {
    return ['moe' => $moe, 'larry' => $larry, 'curly' => $curly];
}

check('arrayOfStructsTest', ask('validator1.arrayOfStructsTest', [stooges(1, 2, 3), stooges(4, 5, -6), stooges(7, 8, 90)]), 87);
check('countTheEntities', ask('validator1.countTheEntities', "a<b<c>d&e'f\"g\"\""),
    ['ctLeftAngleBrackets' => 2, 'ctRightAngleBrackets' => 1, 'ctAmpersands' => 1, 'ctApostrophes' => 1, 'ctQuotes' => 3]);
check('easyStructTest', ask('validator1.easyStructTest', stooges(1, 20, 300)), 321);
$echo = ['bool' => true, 'int' => -7, 'double' => 2.5, 'text' => ' <&> ', 'empty' => '', 'inner' => ['list' => [1, 'two']]];
check('echoStructTest', ask('validator1.echoStructTest', $echo), $echo);
[$time, $bytes] = ['19980717T14:08:55', "you can't read this!\0\xff"];
xmlrpc_set_type($time, 'datetime');
xmlrpc_set_type($bytes, 'base64');
$many = ask('validator1.manyTypesTest', 42, true, 'text', 3.5, $time, $bytes);
check('manyTypesTest', [...array_slice($many, 0, 4), $many[4]->scalar, $many[5]->scalar],
    [42, true, 'text', 3.5, '19980717T14:08:55', "you can't read this!\0\xff"]);
check('moderateSizeArrayCheck', ask('validator1.moderateSizeArrayCheck', array_map(fn ($i) => "item $i;", range(0, 149))), 'item 0;item 149;');
// PHP makes the key "2000" an integer, and the extension makes integer keys a list if they follow one another: so there are two years.
check('nestedStructTest', ask('validator1.nestedStructTest',
    ['1998' => ['04' => ['01' => stooges(9, 9, 9)]], '2000' => ['03' => ['01' => stooges(9, 9, 9)], '04' => ['01' => stooges(1, 2, 4), '02' => stooges(9, 9, 9)]]]), 7);
check('simpleStructReturnTest', ask('validator1.simpleStructReturnTest', 7), ['times10' => 70, 'times100' => 700, 'times1000' => 7000]);

$reply = ask('call.start', ['call_id' => getenv('RM_CALL_ID'), 'node' => $node, 'channel' => 'PJSIP/php-1', 'caller' => getenv('RM_CALLER'),
    'called' => getenv('RM_CALLED'), 'presentation' => 'allowed', 'trunk' => '']);
check('call.start session', is_string($reply['session'] ?? null) && $reply['session'] !== '', true);
check('call.start target', end($reply['instructions'])['targets'][0]['number'], getenv('RM_TARGET'));

check('fault', ask('validator1.noSuchTest')['faultCode'] ?? 'none', -32601);
