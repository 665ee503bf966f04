# Ruby's xmlrpc. What it checks is listed in clients_test.go.
require "xmlrpc/client"

node, secret = ENV.fetch("RM_NODE"), ENV.fetch("RM_SECRET")
$client = XMLRPC::Client.new2(ENV.fetch("RM_URL").sub("://", "://#{node}:#{secret}@"))

def ask(method, *parameters) = $client.call(method, *parameters)

def check(what, got, want)
  abort "#{what}: got #{got.inspect}, want #{want.inspect}" unless got == want
  puts "ok #{what}"
end

def stooges(moe, larry, curly) = { "moe" => moe, "larry" => larry, "curly" => curly }

check "arrayOfStructsTest", ask("validator1.arrayOfStructsTest", [stooges(1, 2, 3), stooges(4, 5, -6), stooges(7, 8, 90)]), 87
check "countTheEntities", ask("validator1.countTheEntities", "a<b<c>d&e'f\"g\"\""),
      { "ctLeftAngleBrackets" => 2, "ctRightAngleBrackets" => 1, "ctAmpersands" => 1, "ctApostrophes" => 1, "ctQuotes" => 3 }
check "easyStructTest", ask("validator1.easyStructTest", stooges(1, 20, 300)), 321
echo = { "bool" => true, "int" => -7, "double" => 2.5, "text" => " ü€ <&> ", "empty" => "", "inner" => { "list" => [1, "two", []] } }
check "echoStructTest", ask("validator1.echoStructTest", echo), echo
many = ask("validator1.manyTypesTest", 42, true, "text", 3.5, XMLRPC::DateTime.new(1998, 7, 17, 14, 8, 55), XMLRPC::Base64.new("you can't read this!\0\xff".b))
check "manyTypesTest", many[0..3] + [many[4].to_a, many[5].b], [42, true, "text", 3.5, [1998, 7, 17, 14, 8, 55], "you can't read this!\0\xff".b]
check "moderateSizeArrayCheck", ask("validator1.moderateSizeArrayCheck", (0...150).map { |i| "item #{i};" }), "item 0;item 149;"
check "nestedStructTest", ask("validator1.nestedStructTest",
                              { "2000" => { "03" => { "31" => stooges(9, 9, 9) }, "04" => { "01" => stooges(1, 2, 4), "02" => stooges(9, 9, 9) } } }), 7
check "simpleStructReturnTest", ask("validator1.simpleStructReturnTest", 7), { "times10" => 70, "times100" => 700, "times1000" => 7000 }

reply = ask("call.start", { "call_id" => ENV.fetch("RM_CALL_ID"), "node" => node, "channel" => "PJSIP/ruby-1", "caller" => ENV.fetch("RM_CALLER"),
                            "called" => ENV.fetch("RM_CALLED"), "presentation" => "allowed", "trunk" => "" })
check "call.start session", reply["session"].empty?, false
check "call.start target", reply["instructions"].last["targets"].first["number"], ENV.fetch("RM_TARGET")

begin
  ask("validator1.noSuchTest")
  abort "an unknown method gave no fault"
rescue XMLRPC::FaultException => e
  check "fault", e.faultCode, -32601
end
