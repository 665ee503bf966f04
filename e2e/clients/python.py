"""Python's own xmlrpc.client. What it checks is listed in clients_test.go."""
import datetime
import os
import xmlrpc.client

url, node, secret = os.environ["RM_URL"], os.environ["RM_NODE"], os.environ["RM_SECRET"]
server = xmlrpc.client.ServerProxy(url.replace("://", f"://{node}:{secret}@"), use_builtin_types=True)


def check(what, got, want):
    if got != want:
        raise SystemExit(f"{what}: got {got!r}, want {want!r}")
    print("ok", what)


v = server.validator1
check("arrayOfStructsTest", v.arrayOfStructsTest(
    [{"moe": 1, "larry": 2, "curly": 3}, {"moe": 4, "larry": 5, "curly": -6}, {"moe": 7, "larry": 8, "curly": 90}]), 87)
check("countTheEntities", v.countTheEntities("a<b<c>d&e'f\"g\"\""), {
    "ctLeftAngleBrackets": 2, "ctRightAngleBrackets": 1, "ctAmpersands": 1, "ctApostrophes": 1, "ctQuotes": 3})
check("easyStructTest", v.easyStructTest({"moe": 1, "larry": 20, "curly": 300}), 321)
echo = {"bool": True, "int": -7, "double": 2.5, "text": " ü€ <&> ", "empty": "", "inner": {"list": [1, "two", []]}}
check("echoStructTest", v.echoStructTest(echo), echo)
many = [42, True, "text", 3.5, datetime.datetime(1998, 7, 17, 14, 8, 55), b"you can't read this!\x00\xff"]
check("manyTypesTest", v.manyTypesTest(*many), many)
check("moderateSizeArrayCheck", v.moderateSizeArrayCheck([f"item {i};" for i in range(150)]), "item 0;item 149;")
check("nestedStructTest", v.nestedStructTest(
    {"1999": {"04": {"01": {"moe": 9, "larry": 9, "curly": 9}}},
     "2000": {"03": {"31": {"moe": 9, "larry": 9, "curly": 9}},
              "04": {"01": {"moe": 1, "larry": 2, "curly": 4}, "02": {"moe": 9, "larry": 9, "curly": 9}}}}), 7)
check("simpleStructReturnTest", v.simpleStructReturnTest(7), {"times10": 70, "times100": 700, "times1000": 7000})

reply = server.call.start({
    "call_id": os.environ["RM_CALL_ID"], "node": node, "channel": "PJSIP/python-1", "caller": os.environ["RM_CALLER"],
    "called": os.environ["RM_CALLED"], "presentation": "allowed", "trunk": ""})
check("call.start session", bool(reply["session"]), True)
check("call.start target", reply["instructions"][-1]["targets"][0]["number"], os.environ["RM_TARGET"])

try:
    server.validator1.noSuchTest()
    raise SystemExit("an unknown method gave no fault")
except xmlrpc.client.Fault as fault:
    check("fault", fault.faultCode, -32601)
