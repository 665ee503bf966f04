#!/bin/sh
# The command xmlrpc of the C library Xmlrpc-c. What it checks is listed in clients_test.go, except
# manyTypesTest: its command line has no way to write a dateTime.
set -eu

ask() {
	xmlrpc "$RM_URL" "$@" "-username=$RM_NODE" "-password=$RM_SECRET" 2>&1
}
check() { # WHAT GOT WANT, blanks and line ends alike
	got=$(echo "$2" | tr -s ' \n' ' ')
	case $got in
	*"$3"*) echo "ok $1" ;;
	*)
		echo "$1: got $got, want $3" >&2
		exit 1
		;;
	esac
}
stooges() { echo "struct/{moe:i/$1,larry:i/$2,curly:i/$3}"; }

check arrayOfStructsTest "$(ask validator1.arrayOfStructsTest "array/($(stooges 1 2 3),$(stooges 4 5 -6),$(stooges 7 8 90))")" "Result: Integer: 87"
entities=$(ask validator1.countTheEntities "s/a<b<c>d&e'f\"g\"\"")
for want in "Key: String: 'ctLeftAngleBrackets' Value: Integer: 2" "Key: String: 'ctRightAngleBrackets' Value: Integer: 1" "Key: String: 'ctAmpersands' Value: Integer: 1" "Key: String: 'ctApostrophes' Value: Integer: 1" "Key: String: 'ctQuotes' Value: Integer: 3"; do
	check countTheEntities "$entities" "$want"
done
check easyStructTest "$(ask validator1.easyStructTest "$(stooges 1 20 300)")" "Result: Integer: 321"
echoed=$(ask validator1.echoStructTest 'struct/{int:i/-7,yes:b/true,half:d/2.5,text:s/a <&> b,inner:struct/{list:array/(i/1,s/two)}}')
for want in "Key: String: 'int' Value: Integer: -7" "Key: String: 'yes' Value: Boolean: TRUE" "Key: String: 'half' Value: Floating Point: 2.500000" "Key: String: 'text' Value: String: 'a <&> b'" "Key: String: 'inner' Value: Struct of 1 members: Key: String: 'list' Value: Array of 2 items: Index 0 Integer: 1 Index 1 String: 'two'"; do
	check echoStructTest "$echoed" "$want"
done
items=s/item-0
i=1
while [ $i -lt 150 ]; do
	items=$items,s/item-$i
	i=$((i + 1))
done
check moderateSizeArrayCheck "$(ask validator1.moderateSizeArrayCheck "array/($items)")" "String: 'item-0item-149'"
check nestedStructTest "$(ask validator1.nestedStructTest "struct/{1999:struct/{04:struct/{01:$(stooges 9 9 9)}},2000:struct/{03:struct/{31:$(stooges 9 9 9)},04:struct/{01:$(stooges 1 2 4),02:$(stooges 9 9 9)}}}")" "Result: Integer: 7"
times=$(ask validator1.simpleStructReturnTest i/7)
for want in "Key: String: 'times10' Value: Integer: 70" "Key: String: 'times100' Value: Integer: 700" "Key: String: 'times1000' Value: Integer: 7000"; do
	check simpleStructReturnTest "$times" "$want"
done

reply=$(ask call.start "struct/{call_id:s/$RM_CALL_ID,node:s/$RM_NODE,channel:s/PJSIP\\/c-1,caller:s/$RM_CALLER,called:s/$RM_CALLED,presentation:s/allowed,trunk:s/}")
check "call.start session" "$reply" "Key: String: 'session' Value: String: '"
check "call.start target" "$reply" "Key: String: 'number' Value: String: '$RM_TARGET'"

check fault "$(ask validator1.noSuchTest || true)" "-32601"
