# SPDX-License-Identifier: MIT
#
# The control socket as PROTOCOL.md tells it, byte by byte: what is refused is refused with the right error, and the daemon serves
# whoever comes next.

load xferd

setup_file() { share_xferd; }
teardown_file() { unshare_xferd; }
teardown() { check_shared; }

# ---- lines ---------------------------------------------------------------------------------------

@test "what is no JSON is a ParseError, and the next line is served" {
    py <<'END'
with Client() as c:
    for text in ('hello', '{', '}', '[', '{]', '{"id":1', "{'id':1}", '{"id":1,}', '[1,]', '{"id" 1}', '{id:1}', 'tru', 'nulll',
                 '"abc', '{"jsonrpc":"2.0","id":1,"method":"system.hello"}}', '{} {}', '1 2', '# x', '<a/>', 'GET / HTTP/1.1'):
        c.refused("ParseError", text)
        c.serves()
END
}

@test "numbers and literals that only look like JSON are a ParseError" {
    py <<'END'
with Client() as c:
    for n in ('NaN', 'Infinity', '-Infinity', 'nan', 'inf', '01', '-01', '+1', '1.', '.5', '1e', '1e+', '0x10', '1_000', '-', '--1',
              'True', 'None', 'undefined', '1' * 64):
        c.refused("ParseError", '{"jsonrpc":"2.0","id":1,"method":"transfer.status","params":{"job":%s}}' % n)
    c.serves()
END
}

@test "half a request and then the end of input is a ParseError, then the daemon closes" {
    py <<'END'
with Client() as c:
    c.write('{"jsonrpc":"2.0","id":1,"met')
    c.no_more()
    equal(c.read()["error"]["data"]["name"], "ParseError")
    c.closed()
END
}

@test "half a request and then the rest is one request" {
    py <<'END'
with Client() as c, Client() as other:
    c.write('{"jsonrpc":"2.0","id":1,"method":"sys')
    other.serves()
    c.write('tem.hello"}')
    other.serves()
    c.write('\n')
    equal(c.reply()["id"], 1)
    c.serves()
END
}

@test "a request that comes byte by byte is served" {
    py <<'END'
with Client() as c:
    for byte in b'{"jsonrpc":"2.0","id":"slow","method":"system.hello"}\r\n':
        c.write(bytes([byte]))
    equal(c.reply()["id"], "slow")
END
}

@test "many requests in one write are answered one by one, in order" {
    py <<'END'
with Client() as c:
    c.write("".join('{"jsonrpc":"2.0","id":%d,"method":"system.list_methods"}\n' % i for i in range(1000)))
    equal([c.read()["id"] for _ in range(1000)], list(range(1000)))
END
}

@test "empty lines and lines of blanks are skipped" {
    py <<'END'
with Client() as c:
    c.write("\n\r\n   \n\t\n \t \r\n" * 100)
    c.serves()
    c.write("\n\n")
    c.no_more()
    c.closed()
END
}

@test "CRLF ends a line as LF does, and answers end in LF alone" {
    py <<'END'
with Client() as c:
    c.write('{"jsonrpc":"2.0","id":1,"method":"events.unsubscribe"}\r\n')
    equal(c.read_line(), b'{"jsonrpc":"2.0","id":1,"result":{"subscribed":false}}')
END
}

@test "the last line counts without LF too" {
    py <<'END'
with Client() as c:
    c.write('{"jsonrpc":"2.0","id":1,"method":"events.unsubscribe"}')
    c.no_more()
    equal(c.read()["id"], 1)
    c.closed()
END
}

@test "a client that says nothing and ends its input is closed" {
    py <<'END'
with Client() as c:
    c.no_more()
    c.closed()
END
}

@test "a line of exactly 1 MiB is taken, with LF and with CRLF" {
    py <<'END'
request = b'{"jsonrpc":"2.0","id":1,"method":"events.unsubscribe"}'
with Client() as c:
    for end in (b"\n", b"\r\n"):
        c.write(b" " * (LINE_MAX - len(request)) + request + end)
        equal(c.read()["id"], 1)
    c.serves()
    c.write(request + b" " * (LINE_MAX - len(request)))
    c.no_more()
    equal(c.read()["id"], 1)
    c.closed()
END
}

@test "a line of one byte more than 1 MiB is LineTooLong, then the daemon closes" {
    py <<'END'
request = b'{"jsonrpc":"2.0","id":1,"method":"events.unsubscribe"}'
for end in (b"\n", b"\r\n"):
    with Client() as c:
        c.write(b" " * (LINE_MAX + 1 - len(request)) + request + end)
        message = c.read()
        equal((message["id"], message["error"]["data"]["name"]), (None, "LineTooLong"))
        c.closed()
END
}

@test "a line of 2 MiB is LineTooLong, and what follows it on that connection is not run" {
    py <<'END'
with Client() as c:
    before = c.last_job()
with Client() as c:
    submit = {"jsonrpc": "2.0", "id": 2, "method": "transfer.submit", "params": {"source": "/does/not/exist"}}
    c.say('{"jsonrpc":"2.0","id":1,"method":"' + "x" * (2 << 20) + '"}', submit, submit)
    message = c.read()
    equal((message["id"], message["error"]["data"]["name"]), (None, "LineTooLong"))
    c.closed()
with Client() as c:
    equal(c.last_job(), before + 1)
END
}

@test "what was asked before a line that is too long is answered first" {
    py <<'END'
with Client() as c:
    c.say('{"jsonrpc":"2.0","id":1,"method":"system.hello"}', "x" * (2 << 20))
    equal(c.read()["id"], 1)
    equal(c.read()["error"]["data"]["name"], "LineTooLong")
    c.closed()
END
}

@test "a line without end is cut off without filling the memory" {
    py <<'END'
with Client() as c:
    rank0 = rank_pid(c, 0)
before = memory_of(rank0)
with Client() as c:
    try:
        for _ in range(64):
            c.write(b"x" * (1 << 20))
        assert False, "64 MiB were taken"
    except (BrokenPipeError, ConnectionResetError):
        pass
assert memory_of(rank0) - before < 16 << 20, (before, memory_of(rank0))
END
}

# ---- text ----------------------------------------------------------------------------------------

@test "nested a hundred thousand deep is a ParseError" {
    py <<'END'
n = 100000
with Client() as c:
    for text in ("[" * n, "[" * n + "]" * n, '{"a":' * n, '{"a":' * n + "1" + "}" * n,
                 '{"jsonrpc":"2.0","id":1,"method":"system.hello","params":' + "[" * n + "]" * n + "}"):
        c.refused("ParseError", text)
    c.serves()
END
}

@test "nested 64 deep is JSON, 65 is not" {
    py <<'END'
with Client() as c:
    c.refused("InvalidRequest", '{"x":' + "[" * 63 + "]" * 63 + "}")
    c.refused("ParseError", '{"x":' + "[" * 64 + "]" * 64 + "}")
    c.serves()
END
}

@test "a line with more values than there may be is an InvalidRequest" {
    py <<'END'
with Client() as c:
    c.refused("InvalidRequest", '{"x":[' + "1," * 131072 + "1]}")
    c.refused("InvalidRequest", "[" + "[]," * 200000 + "[]]")
    c.serves()
END
}

@test "bytes that are no UTF-8 are a ParseError" {
    py <<'END'
bad = [b"\x80", b"\xff", b"\xfe", b"\xc0\xaf", b"\xc1\xbf", b"\xe0\x80\xaf", b"\xf0\x80\x80\xaf", b"\xed\xa0\x80", b"\xed\xbf\xbf",
       b"\xf4\x90\x80\x80", b"\xf8\x88\x80\x80\x80", b"\xc3", b"\xe2\x82", b"\xf0\x9f\x98"]
with Client() as c:
    for b in bad:
        c.refused("ParseError", b'{"jsonrpc":"2.0","id":1,"method":"transfer.submit","params":{"source":"/tmp/' + b + b'"}}')
        c.refused("ParseError", b'{"' + b + b'":1}')
        c.refused("ParseError", b)
    c.serves()
END
}

@test "NUL bytes and control characters in the text are a ParseError" {
    py <<'END'
with Client() as c:
    for i in list(range(0, 10)) + list(range(11, 32)):
        c.refused("ParseError", b'{"jsonrpc":"2.0","id":"' + bytes([i]) + b'","method":"system.hello"}')
    c.refused("ParseError", b"\0")
    c.refused("ParseError", b'{"jsonrpc":"2.0","id":1,"method":"system.hello"}\0')
    c.refused("ParseError", b'\0{"jsonrpc":"2.0","id":1,"method":"system.hello"}')
    c.refused("ParseError", b"\0" * 100000)
    c.serves()
END
}

@test "a byte order mark is a ParseError" {
    py <<'END'
with Client() as c:
    c.refused("ParseError", b'\xef\xbb\xbf{"jsonrpc":"2.0","id":1,"method":"system.hello"}')
    c.refused("ParseError", '{"jsonrpc":"2.0","id":1,"method":"system.hello"}'.encode("utf-16"))
    c.serves()
END
}

@test "half of a surrogate pair is a ParseError, a whole one is a character" {
    py <<'END'
with Client() as c:
    for half in (r"\ud800", r"\udfff", r"\udc00\ud800", r"\ud800\ud800", r"\ud800x", r"\ud800\n", r"\uD83D\u0041", r"\ud83"):
        c.refused("ParseError", r'{"jsonrpc":"2.0","id":1,"method":"transfer.submit","params":{"source":"/%s"}}' % half)
    reply = c.ask(r'{"jsonrpc":"2.0","id":"\ud83d\ude00","method":"transfer.submit","params":{"source":"/none/\ud83d\ude00"}}')
    equal((reply["id"], reply["result"]["source"]), ("\U0001f600", "/none/\U0001f600"))
END
}

@test "bad escapes are a ParseError" {
    py <<'END'
with Client() as c:
    for escape in (r"\x41", r"\a", r"\'", r"\u12", r"\u12g4", r"\U00000041", "\\", r"\0"):
        c.refused("ParseError", '{"jsonrpc":"2.0","id":"%s","method":"system.hello"}' % escape)
    c.serves()
END
}

@test "u0000 in a parameter is InvalidParams, and no job is made" {
    py <<'END'
with Client() as c:
    before = c.last_job()
    for params in (r'{"source":"/tmp/a\u0000b"}', r'{"source":"\u0000"}', r'{"source":"/tmp/a\u0000"}', r'{"source":"/a","dest":"b\u0000"}',
                   r'{"source":"/a","overwrite":"never\u0000"}', r'{"source\u0000":"/a"}', r'{"source":"/a","wait\u0000":true}',
                   r'{"source":"/a","\u0000":1}'):
        c.refused("InvalidParams", r'{"jsonrpc":"2.0","id":5,"method":"transfer.submit","params":%s}' % params, 5)
    equal(c.last_job(), before + 1)
    # an escaped backslash before u0000 is no NUL
    equal(c.call("transfer.submit", source="/none/\\u0000")["source"], "/none/\\u0000")
END
}

@test "u0000 elsewhere in a request is InvalidRequest" {
    py <<'END'
with Client() as c:
    c.refused("InvalidRequest", r'{"jsonrpc":"2.0","id":1,"method":"system.hello\u0000"}', 1)
    c.refused("InvalidRequest", r'{"jsonrpc":"2.0","id":"a\u0000","method":"system.hello"}')
    c.refused("InvalidRequest", r'{"jsonrpc":"2.0\u0000","id":1,"method":"system.hello"}', 1)
    c.refused("InvalidRequest", r'{"jsonrpc":"2.0","id":1,"method\u0000":"system.hello"}', 1)
    c.serves()
END
}

# ---- requests ------------------------------------------------------------------------------------

@test "an id of every kind comes back as it was" {
    py <<'END'
with Client() as c:
    for id in (0, 1, -1, 123456789012, 2**53 - 1, -(2**53 - 1), "", "a", "1", " ", "null", 'q"\\/\b\f\n\r\t', "\u00e4\u20ac\U0001f600",
               "\x7f", "\u2028", "x" * 256, "\u00e4" * 128, None):
        equal(c.ask({"jsonrpc": "2.0", "id": id, "method": "events.unsubscribe"}),
              {"jsonrpc": "2.0", "id": id, "result": {"subscribed": False}})
        equal(c.ask({"jsonrpc": "2.0", "id": id, "method": "none"})["id"], id)
END
}

@test "an integer as id is printed without fraction and exponent" {
    py <<'END'
with Client() as c:
    for text, printed in (("1.0", b"1"), ("1e3", b"1000"), ("1e15", b"1000000000000000"), ("12E1", b"120"), ("-0", b"0"),
                          ("9007199254740991", b"9007199254740991"), ("5e-0", b"5"), ("100e-1", b"10")):
        c.say('{"jsonrpc":"2.0","id":%s,"method":"events.unsubscribe"}' % text)
        equal(c.read_line(), b'{"jsonrpc":"2.0","id":' + printed + b',"result":{"subscribed":false}}')
END
}

@test "an id that is none is InvalidRequest with the id null" {
    py <<'END'
with Client() as c:
    for id in ("true", "false", "[]", "[1]", "{}", "1.5", "1e-3", "9007199254740992", "9007199254740993", "1e300", "1e400",
               '"' + "x" * 257 + '"'):
        c.refused("InvalidRequest", '{"jsonrpc":"2.0","id":%s,"method":"system.hello"}' % id)
    c.refused("InvalidRequest", '{"jsonrpc":"2.0","id":1,"id":1,"method":"system.hello"}')
    c.refused("InvalidRequest", '{"jsonrpc":"2.0","id":1,"id":2,"method":"system.hello"}')
    c.serves()
END
}

@test "what is JSON but no request is InvalidRequest" {
    py <<'END'
with Client() as c:
    for text in ("1", "null", "true", '"system.hello"', "{}", '{"jsonrpc":"2.0"}', '{"jsonrpc":"2.0","params":{}}', "1e400", '""'):
        c.refused("InvalidRequest", text)
    for method in ("1", "null", "true", "[]", "{}", '["system.hello"]'):
        c.refused("InvalidRequest", '{"jsonrpc":"2.0","id":4,"method":%s}' % method, 4)
    c.refused("InvalidRequest", '{"jsonrpc":"2.0","id":4}', 4)
    c.serves()
END
}

@test "a member that a request doesn't have, or has twice, is InvalidRequest" {
    py <<'END'
with Client() as c:
    for more in ('"x":1', '"Method":"system.hello"', '"METHOD":1', '"param":{}', '"result":1', '"":1', '"jsonrpc":"2.0"',
                 '"method":"system.hello"', '"params":{},"params":{}', '"extra":{"deep":[1,2,{"a":null}]}'):
        c.refused("InvalidRequest", '{"jsonrpc":"2.0","id":4,"method":"system.hello",%s}' % more, 4)
    c.serves()
END
}

@test "jsonrpc must be the string 2.0 where it is there" {
    py <<'END'
with Client() as c:
    for version in ('"1.0"', '"2"', '"2.00"', "2.0", "2", "null", "true", '""', '[]', '" 2.0"'):
        c.refused("InvalidRequest", '{"jsonrpc":%s,"id":4,"method":"system.hello"}' % version, 4)
        c.refused("InvalidRequest", '{"jsonrpc":%s,"method":"system.hello"}' % version)
    c.serves()
END
}

@test "without jsonrpc a request is always answered" {
    py <<'END'
with Client() as c:
    equal(c.ask('{"method":"events.unsubscribe"}'), {"jsonrpc": "2.0", "id": None, "result": {"subscribed": False}})
    equal(c.ask('{"id":3,"method":"events.unsubscribe"}'), {"jsonrpc": "2.0", "id": 3, "result": {"subscribed": False}})
    c.refused("MethodNotFound", '{"method":"none"}')
    c.refused("InvalidParams", '{"method":"transfer.status"}')
END
}

@test "a notification is run and never answered" {
    py <<'END'
with Client() as c:
    before = c.last_job()
    c.say({"jsonrpc": "2.0", "method": "transfer.submit", "params": {"source": "/none/notified", "wait": True}},
          {"jsonrpc": "2.0", "method": "none"},
          {"jsonrpc": "2.0", "method": "transfer.submit", "params": {"source": "relative"}},
          {"jsonrpc": "2.0", "method": "transfer.status", "params": {"job": 10**9}},
          {"jsonrpc": "2.0", "method": "system.ping"},
          {"jsonrpc": "2.0", "method": "system.hello", "params": []})
    c.serves()
    equal(c.call("transfer.status", job=before + 1)["source"], "/none/notified")
    equal(c.last_job(), before + 2)
    c.no_more()
    c.closed()
END
}

@test "an unknown method is MethodNotFound" {
    py <<'END'
with Client() as c:
    for method in ("none", "", "system", "system.", "system.Hello", "SYSTEM.HELLO", " system.hello", "system.hello ", "rpc.discover",
                   "transfer.submit\n", "x" * 100000, "%s%n", "\u00e4"):
        c.refused("MethodNotFound", {"jsonrpc": "2.0", "id": 9, "method": method}, 9)
    c.serves()
END
}

# ---- parameters ----------------------------------------------------------------------------------

@test "parameters by position, and what is no object, are InvalidParams" {
    py <<'END'
with Client() as c:
    for params in ([], ["/tmp/x"], [{}], None, 1, "x", True, 1.5):
        c.refuses("InvalidParams", "transfer.submit", params)
        c.refuses("InvalidParams", "system.hello", params)
    equal(c.ask('{"jsonrpc":"2.0","id":1,"method":"events.unsubscribe","params":{}}')["result"], {"subscribed": False})
END
}

@test "an unknown, repeated or missing parameter is InvalidParams, before any effect" {
    py <<'END'
with Client() as c:
    before = c.last_job()
    for params in ('{}', '{"dest":"x"}', '{"source":"/a","source":"/a"}', '{"source":"/a","wait":false,"wait":true}', '{"source":"/a","x":1}',
                   '{"source":"/a","Source":"/a"}', '{"source":"/a","job":1}', '{"source":"/a","":1}', '{"source":"/a","destination":"x"}',
                   '{"source":"/a","source_b64":"L2E="}', '{"source_b64":"L2E=","source_b64":"L2E="}',
                   '{"source":"/a","dest":"x","dest_b64":"eA=="}', '{"source":"/a","wait_b64":"eA=="}'):
        c.refused("InvalidParams", '{"jsonrpc":"2.0","id":1,"method":"transfer.submit","params":%s}' % params, 1)
    for method in ("transfer.status", "transfer.wait", "transfer.cancel", "system.describe"):
        c.refused("InvalidParams", {"jsonrpc": "2.0", "id": 1, "method": method}, 1)
        c.refuses("InvalidParams", method, {})
        c.refuses("InvalidParams", method, {"what": 1})
    equal(c.last_job(), before + 1)
END
}

@test "a parameter of the wrong type is InvalidParams, before any effect" {
    py <<'END'
wrong = {
    "source": [None, 1, True, [], {}, ["/a"], "", "x" * 4096, "/" + "x" * 4096],
    "dest": [None, 1, True, [], {}, "", "x/" * 2048],
    "overwrite": [None, 1, True, [], {}, "", "Replace", "older", "replace "],
    "sync": [None, 0, False, [], {}, "", "all", "FILE"],
    "priority": [None, "1", True, [], {}, 1.5, 101, -101, 1e15, 2**53, 1e300],
    "wait": [None, 0, 1, "true", "", [], {}],
}
with Client() as c:
    before = c.last_job()
    for name, values in wrong.items():
        for value in values:
            c.refuses("InvalidParams", "transfer.submit", dict({"source": "/a"}, **{name: value}))
    equal(c.last_job(), before + 1)
END
}

@test "1e15, 2^53-1, 5.0 and 1e0 are integers" {
    py <<'END'
with Client() as c:
    c.call("transfer.submit", source="/none/x")
    for job in ("1e15", "1E+15", "9007199254740991", "1000000000000000", "9.007199254740991e15"):
        c.refused("NoSuchJob", '{"jsonrpc":"2.0","id":1,"method":"transfer.status","params":{"job":%s}}' % job, 1)
    for job in ("1.0", "1e0", "10e-1", "1.000000"):
        equal(c.ask('{"jsonrpc":"2.0","id":1,"method":"transfer.status","params":{"job":%s}}' % job)["result"]["job"], 1)
    for priority in ("0", "-0", "-0.0", "1e2", "-100"):
        job = c.ask('{"jsonrpc":"2.0","id":1,"method":"transfer.submit","params":{"source":"/none/x","priority":%s}}' % priority)["result"]
        equal(job["priority"], int(float(priority)))
END
}

@test "1.5, 2^53, 2^53+1, negative numbers, zero and minus zero are no job" {
    py <<'END'
with Client() as c:
    for method in ("transfer.status", "transfer.wait", "transfer.cancel", "transfer.retry", "events.subscribe"):
        for job in ("1.5", "1.0000001", "9007199254740992", "9007199254740993", "1e16", "1e300", "1e400", "-1e400", "-1", "-0", "0", "-5",
                    "18446744073709551617", "4294967297e10", '"1"', "true", "null", "[1]", '{"job":1}', "1e-1", "5e-324"):
            c.refused("InvalidParams", '{"jsonrpc":"2.0","id":1,"method":"%s","params":{"job":%s}}' % (method, job), 1)
    c.serves()
END
}

@test "durations have their range" {
    py <<'END'
with Client() as c:
    for timeout in ("-1", "-0.001", "315360001", "1e400", "1e30", '"1"', "null", "true", "[]"):
        c.refused("InvalidParams", '{"jsonrpc":"2.0","id":1,"method":"transfer.wait","params":{"job":1,"timeout":%s}}' % timeout, 1)
    c.serves()
END
}

@test "a relative source is InvalidParams" {
    py <<'END'
with Client() as c:
    for source in ("a", "./a", "../a", "a/b", " /a", "~/a", "file:///a", "."):
        c.refuses("InvalidParams", "transfer.submit", {"source": source})
        c.refuses("InvalidParams", "transfer.submit", {"source_b64": base64.b64encode(source.encode()).decode()})
    c.serves()
END
}

@test "source_b64 must be strict base64 of a name without NUL" {
    py <<'END'
with Client() as c:
    for b64 in ("L2E", "L2E=\n", " L2E=", "L2E==", "L2F=", "L2E=L2E=", "L2-_", "!", "====", "", "A", "L2EAYg==", "AA==",
                base64.b64encode(b"/" + b"x" * 4095).decode(), 1, None, []):
        c.refuses("InvalidParams", "transfer.submit", {"source_b64": b64})
    c.serves()
END
}

@test "a name that is no UTF-8 goes and comes as base64, and arrives byte for byte" {
    py <<'END'
name = b"b\xe4d \xff\x01\n\xc3"
path = os.fsencode(D) + b"/" + name
with open(path, "wb") as f:
    f.write(b"contents")
with Client() as c:
    job = check_job(c.call("transfer.submit", source_b64=base64.b64encode(path).decode(), wait=True))
    equal(job["state"], "done")
    equal(base64.b64decode(job["source_b64"]), path)
    equal(base64.b64decode(job["dest_b64"]), name)
    equal(base64.b64decode(job["dest_path_b64"]), os.fsencode(ROOT) + b"/" + name)
    with open(os.fsencode(ROOT) + b"/" + name, "rb") as f:
        equal(f.read(), b"contents")
    # what is UTF-8 comes as a string, however it was sent
    job = c.call("transfer.submit", source_b64=base64.b64encode(path).decode(), dest_b64=base64.b64encode("ä/ü".encode()).decode(), wait=True)
    equal((job["dest"], job["dest_path"]), ("ä/ü", ROOT + "/ä/ü"))
    error = c.call("transfer.submit", source_b64=base64.b64encode(path + b"?").decode(), wait=True)["error"]
    equal(base64.b64decode(error["data"]["path_b64"]), path + b"?")
os.unlink(path)
END
}

@test "a destination that is none is InvalidDestination, before any effect" {
    py <<'END'
with Client() as c:
    before = c.last_job()
    for dest in ("/", "/etc/x", "..", "../x", "a/../b", "a/..", ".xfer", ".xfer-x/a", "a/.xfer/b", "a/.xferx", "/x/../y"):
        c.refuses("InvalidDestination", "transfer.submit", {"source": "/tmp/a", "dest": dest})
    for dest in ("x" * 256, "a/" + "x" * 256, "x" * 256 + "/"):
        c.refuses("NameTooLong", "transfer.submit", {"source": "/tmp/a", "dest": dest})
    for source in ("/", "//", "/.."):
        c.refuses("InvalidDestination", "transfer.submit", {"source": source})
    equal(c.last_job(), before + 1)
END
}

# ---- batches -------------------------------------------------------------------------------------

@test "a batch is answered in one array" {
    py <<'END'
with Client() as c:
    replies = c.ask([{"jsonrpc": "2.0", "id": i, "method": "events.unsubscribe"} for i in range(10)])
    equal(sorted(r["id"] for r in replies), list(range(10)))
    replies = c.ask([{"jsonrpc": "2.0", "id": "one", "method": "events.unsubscribe"}])
    equal(replies, [{"jsonrpc": "2.0", "id": "one", "result": {"subscribed": False}}])
    c.serves()
END
}

@test "an empty batch is one InvalidRequest" {
    py <<'END'
with Client() as c:
    c.refused("InvalidRequest", "[]")
    c.refused("InvalidRequest", " [ ] ")
    c.serves()
END
}

@test "a batch of notifications is run and not answered" {
    py <<'END'
with Client() as c:
    before = c.last_job()
    c.say([{"jsonrpc": "2.0", "method": "transfer.submit", "params": {"source": "/none/x"}}] * 3)
    c.serves()
    equal(c.last_job(), before + 4)
    c.say([{"jsonrpc": "2.0", "method": "none"}])
    c.no_more()
    c.closed()
END
}

@test "each request of a batch has its own error" {
    py <<'END'
with Client() as c:
    replies = c.ask([1, {}, [], None, {"jsonrpc": "2.0", "id": "a", "method": "none"},
                     {"jsonrpc": "2.0", "id": "b", "method": "events.unsubscribe"}, {"jsonrpc": "2.0", "method": "none"},
                     {"jsonrpc": "2.0", "id": "c", "method": "transfer.status"}, {"id": "d", "method": "transfer.status", "params": {"job": 10**9}},
                     {"jsonrpc": "1.0", "id": "e", "method": "system.hello"}, {"method": "events.unsubscribe"}])
    told = sorted((str(r["id"]), r["error"]["data"]["name"] if "error" in r else "") for r in replies)
    equal(told, [("None", "")] + [("None", "InvalidRequest")] * 4
          + [("a", "MethodNotFound"), ("b", ""), ("c", "InvalidParams"), ("d", "NoSuchJob"), ("e", "InvalidRequest")])
    c.serves()
END
}

@test "a batch that is no JSON at its end is one ParseError, and nothing of it is run" {
    py <<'END'
with Client() as c:
    before = c.last_job()
    c.refused("ParseError", '[{"jsonrpc":"2.0","id":1,"method":"transfer.submit","params":{"source":"/none/x"}},')
    c.refused("ParseError", '[{"jsonrpc":"2.0","id":1,"method":"transfer.submit","params":{"source":"/none/x"}},{"jsonrpc":]')
    equal(c.last_job(), before + 1)
END
}

@test "a batch of 1024 is answered in full" {
    py <<'END'
with Client() as c:
    replies = c.ask([{"jsonrpc": "2.0", "id": i, "method": "transfer.submit", "params": {"source": "/none/x"}} for i in range(1024)])
    equal(sorted(r["id"] for r in replies), list(range(1024)))
    jobs = [check_job(r["result"])["job"] for r in sorted(replies, key=lambda r: r["id"])]
    equal(jobs, list(range(jobs[0], jobs[0] + 1024)), "jobs are numbered in the order of the batch")
END
}

@test "a batch of 1025 is one InvalidRequest, and nothing of it is run" {
    py <<'END'
with Client() as c:
    before = c.last_job()
    c.refused("InvalidRequest", json.dumps([{"jsonrpc": "2.0", "id": 1, "method": "transfer.submit", "params": {"source": "/none/x"}}] * 1025))
    equal(c.last_job(), before + 1)
END
}

@test "a batch with a wait inside is answered when the job has ended, and others are served meanwhile" {
    py <<'END'
path = make_file("waited", 40 << 20)
with Client() as c, Client() as other:
    rank1 = rank_pid(other, 1)
    os.kill(rank1, signal.SIGSTOP)
    try:
        job = other.call("transfer.submit", source=path)["job"]
        c.say([{"jsonrpc": "2.0", "id": 1, "method": "transfer.wait", "params": {"job": job}},
               {"jsonrpc": "2.0", "id": 2, "method": "events.unsubscribe"},
               {"jsonrpc": "2.0", "id": 3, "method": "transfer.wait", "params": {"job": job, "timeout": 0}}])
        c.say({"jsonrpc": "2.0", "id": 4, "method": "events.unsubscribe"})
        equal(c.reply()["id"], 4)
        other.refuses("Timeout", "transfer.wait", {"job": job, "timeout": 0.01})
    finally:
        os.kill(rank1, signal.SIGCONT)
    replies = {r["id"]: r for r in c.reply()}
    equal(sorted(replies), [1, 2, 3])
    equal(check_job(replies[1]["result"])["state"], "done")
    equal(replies[3]["error"]["data"]["name"], "Timeout")
os.unlink(path)
END
}

@test "a batch whose answers would be too long is refused from there on as TooBusy" {
    py <<'END'
with Client() as c:
    source = "/none/" + "x" * 4000
    for _ in range(40):
        c.call("transfer.submit", source=source, wait=True, dest="y")
    replies = c.ask([{"jsonrpc": "2.0", "id": i, "method": "transfer.list", "params": {"limit": 40}} for i in range(1024)])
    equal(len(replies), 1024)
    names = {r["error"]["data"]["name"] for r in replies if "error" in r}
    equal(names, {"TooBusy"})
    assert 10 < sum("result" in r for r in replies) < 60
    c.serves()
END
}

# ---- methods -------------------------------------------------------------------------------------

@test "what list_methods and describe tell is what is dispatched" {
    py <<'END'
types = {"boolean", "integer", "seconds", "string", "path", "choice", "list", "strings"}
# what goes with another parameter only
together = {"checksum": {"overwrite": "changed"}}
with Client() as c:
    methods = c.call("system.list_methods")["methods"]
    documented = set()
    for line in open(os.environ["top_srcdir"] + "/proto/PROTOCOL.md", encoding="utf-8"):
        cells = [x.strip() for x in line.split("|")]
        if len(cells) == 5 and cells[1].startswith("`") and cells[1].startswith(("`system.", "`transfer.", "`queue.", "`limits.", "`daemon.", "`events.")):
            documented.add(cells[1].strip("`"))
    equal({m["name"] for m in methods}, documented)
    for m in methods:
        d = c.call("system.describe", method=m["name"])
        equal((d["name"], d["summary"]), (m["name"], m["summary"]))
        assert d["result"] and d["summary"]

        def value_of(p):
            if p["type"] == "choice":
                return p["choices"][0]
            if p["type"] == "list":
                return ",".join(p["choices"])
            if p["type"] == "strings":
                return ["- x", "+ y"]
            if p["type"] in ("integer", "seconds"):
                return p["max"]
            if p["type"] == "path":
                return "/none/x" if p.get("absolute") else "x"
            return True if p["type"] == "boolean" else "root"

        required = {p["name"]: value_of(p) for p in d["params"] if p["required"]}

        def code(params):
            r = c.ask({"jsonrpc": "2.0", "id": 1, "method": m["name"], "params": params})
            # a parameter that is fine, of a job that isn't, or of a line with which no descriptor came
            if "error" not in r or "is done" in r["error"]["message"] or "no descriptor came" in r["error"]["message"]:
                return "ok"
            return r["error"]["data"]["name"]

        def taken(params):
            answer = code(params)
            assert answer in ("ok", "NoSuchJob") or (m["name"], answer) == ("system.describe", "InvalidParams"), (m["name"], params, answer)

        taken(required)
        equal(code(dict(required, no_such_parameter=1)), "InvalidParams")
        for p in d["params"]:
            assert p["help"] and p["type"] in types, p
            rest = {k: v for k, v in required.items() if k != p["name"]} | together.get(p["name"], {})
            if p["required"]:
                equal(code(rest), "InvalidParams", p["name"])
            good, bad = [value_of(p)], [None, {}]
            bad += [["x"]] if p["name"] == "filter" else [[""]] if p["type"] == "strings" else [[]]
            if p["type"] in ("integer", "seconds"):
                good += [p["min"], p["max"]]
                bad += [p["min"] - 1, p["max"] + 1, "1"]
            if p["type"] == "integer":
                bad += [p["min"] + 0.5]
            if p["type"] == "choice":
                good = p["choices"]
                bad += ["no such choice", p["choices"][0].upper(), 0]
            if p["type"] == "boolean":
                good += [False]
                bad += [0, "true"]
            if p["type"] == "list":
                good += ["all", "none", "+" + p["choices"][0]]
                bad += ["", "x", p["choices"][0] + ",none", p["choices"][0] + ",", 0]
            if p["type"] == "strings":
                (bad if p["min_items"] else good).append([])
                good += [["- x"] * p["max_items"]]
                bad += ["- x", [""], [1], ["- x"] * (p["max_items"] + 1), ["- " + "x" * (p["max_bytes"] - 2)]]
            if p["type"] in ("string", "path"):
                bad += ["", 1, "/" + "x" * p["max_bytes"]]
            if p.get("absolute"):
                bad += ["x"]
            for v in good:
                taken(dict(rest, **{p["name"]: v}))
            for v in bad:
                equal(code(dict(rest, **{p["name"]: v})), "InvalidParams", f"{m['name']} {p['name']}={v!r:.80}")
            if "or" in p:
                v = value_of(p)
                b64 = [base64.b64encode(x.encode()).decode() for x in (v if isinstance(v, list) else [v])]
                taken(dict(rest, **{p["or"]: b64 if isinstance(v, list) else b64[0]}))
        if m["name"].startswith("queue."):
            c.call("queue.resume")
        if m["name"] == "limits.set":
            c.call("limits.set", bandwidth=0)
    c.refuses("InvalidParams", "system.describe", {"method": "none"})
END
}

@test "hello tells who answers and the bounds that are documented" {
    py <<'END'
import re
with Client() as c:
    hello = c.call("system.hello")
    equal((hello["server"], hello["api"]), ("xferd", 1))
    for id in ("queue_id", "boot_id"):
        assert re.fullmatch("[0-9a-f]{32}", hello[id]), hello
    assert {"batch", "events"} <= set(hello["features"]), hello
    submit = {p["name"] for p in c.call("system.describe", method="transfer.submit")["params"]}
    equal({f[7:] for f in hello["features"] if f.startswith("submit.")}, submit)
    equal([r["rank"] for r in hello["ranks"]], [0, 1])
    for r in hello["ranks"]:
        assert r["host"] and os.path.exists(f"/proc/{r['pid']}"), r
    text = open(os.environ["top_srcdir"] + "/proto/PROTOCOL.md", encoding="utf-8").read()
    section = text[text.index("The `limits` are"):text.index("### system.stats")]
    equal(hello["limits"], {n: int(v) for n, v in re.findall(r"`([a-z_]+)` (\d+)", section)})
END
}

@test "stats are of the documented shape, and count" {
    py <<'END'
path = make_file("counted", 12345)
with Client() as c:
    before = c.call("system.stats")
    equal(check_job(c.call("transfer.submit", source=path, wait=True))["state"], "done")
    equal(c.call("transfer.submit", source=path + "?", wait=True)["state"], "failed")
    after = c.call("system.stats")
    assert {"uptime", "generation", "clients", "oldest_queued", "peer", "store", "link", "queue", "jobs", "finished", "sent", "attempts"} <= set(after), after
    equal(after["sent"]["bytes"] - before["sent"]["bytes"], 12345)
    equal(after["sent"]["files"] - before["sent"]["files"], 1)
    equal({n: after["attempts"][n] - before["attempts"][n] for n in after["attempts"]}, {"started": 2, "failed": 1, "bytes": 12345})
    equal(after["finished"]["done"] - before["finished"]["done"], 1)
    equal(after["finished"]["failed"] - before["finished"]["failed"], 1)
    equal((after["clients"], after["generation"], after["peer"]["up"], after["store"]["root"]), (1, 1, True, ROOT))
    equal((after["jobs"]["queued"], after["jobs"]["running"]), (0, 0))
    equal(after["queue"], {"paused": False, "draining": False})
    assert 0 < after["store"]["free_bytes"] <= after["store"]["total_bytes"], after
    assert after["link"]["lanes"] >= 1 and after["link"]["chunk"] >= 4096 and after["uptime"] >= before["uptime"] > 0, after
END
}

@test "a job object has every documented member, at every stage" {
    py <<'END'
import subprocess
path = make_file("shape", 70000)
with Client() as c:
    check_job(c.call("transfer.submit", source=path, dest="s/", priority=5))
    done = check_job(c.call("transfer.submit", source=path, dest="s/", priority=-7, wait=True))
    check_job(c.call("transfer.status", job=done["job"]))
    equal((done["state"], done["phase"], done["dest"], done["dest_path"], done["bytes_total"], done["priority"], done["uid"]),
          ("done", "done", "s/shape", ROOT + "/s/shape", 70000, -7, os.getuid()))
    digest = subprocess.check_output(["xxhsum", "-H2", path], text=True).split()[0]
    equal(done["digest"], {"algorithm": "xxh128", "value": digest})
    same_file(path, ROOT + "/s/shape")
    failed = check_job(c.call("transfer.submit", source=path + "?", wait=True))
    equal((failed["state"], failed["error"]["data"]["name"], failed["error"]["data"]["path"], failed["digest"], failed["exit_code"]),
          ("failed", "NoSuchFile", path + "?", None, 5))
    for job in c.call("transfer.list", limit=1000)["jobs"]:
        check_job(job)
END
}

@test "transfer.list narrows by state, user, before and limit" {
    py <<'END'
with Client() as c:
    path = make_file("listed", 10)
    ids = [c.call("transfer.submit", source=path, wait=True)["job"] for _ in range(25)]
    jobs = c.call("transfer.list")["jobs"]
    equal([j["job"] for j in jobs], ids[:4:-1], "the last 20, the last first")
    equal([j["job"] for j in c.call("transfer.list", limit=3)["jobs"]], ids[:-4:-1])
    equal(c.call("transfer.list", limit=0)["jobs"], [])
    equal([j["job"] for j in c.call("transfer.list", limit=2, before=ids[10])["jobs"]], [ids[9], ids[8]])
    assert all(j["state"] == "failed" for j in c.call("transfer.list", state="failed")["jobs"])
    equal(c.call("transfer.list", state="queued")["jobs"], [])
    equal(len(c.call("transfer.list", user=str(os.getuid()), limit=5)["jobs"]), 5)
    equal(c.call("transfer.list", user=str(os.getuid() + 1))["jobs"], [])
    seen, before = [], None
    while True:
        page = c.call("transfer.list", **({"before": before} if before else {}), limit=7)["jobs"]
        if not page:
            break
        seen += [j["job"] for j in page]
        before = seen[-1]
    equal(seen, list(range(ids[-1], 0, -1)), "page by page, every job once")
END
}

@test "ping tells the round trip" {
    py <<'END'
with Client() as c:
    ping = c.call("system.ping")
    assert ping["peer_up"] is True and 0 < ping["round_trip"] < SECONDS, ping
END
}

@test "after the end of input open replies are delivered, then the daemon closes" {
    py <<'END'
path = make_file("last-wish", 30 << 20)
with Client() as c:
    c.say({"jsonrpc": "2.0", "id": 1, "method": "transfer.submit", "params": {"source": path, "wait": True}},
          {"jsonrpc": "2.0", "id": 2, "method": "system.ping"})
    c.no_more()
    replies = {}
    for _ in range(2):
        message = c.read()
        replies[message["id"]] = message
    equal(check_job(replies[1]["result"])["state"], "done")
    equal(replies[2]["result"]["peer_up"], True)
    c.closed()
same_file(path, ROOT + "/last-wish")
os.unlink(path)
END
}

@test "a subscriber's end of input leaves it nothing to wait for" {
    py <<'END'
with Client() as c:
    c.call("events.subscribe")
    c.no_more()
    while c.read() is not None:
        pass
END
}

# ---- every error has its day ---------------------------------------------------------------------

@test "the errors of a transfer have their names, sides and exit codes" {
    py <<'END'
os.makedirs(ROOT + "/a-directory", exist_ok=True)
path = make_file("errors", 100)
os.mkfifo(D + "/fifo")
os.symlink("loop", D + "/loop")
os.symlink("/tmp", ROOT + "/way-out")
os.symlink("circle", ROOT + "/circle")
with Client() as c:
    c.call("transfer.submit", source=path, dest="there", wait=True)
    for name, side, exit_code, params in (
            ("NoSuchFile", "sender", 5, {"source": D + "/nothing"}),
            ("NoSuchFile", "sender", 5, {"source": D + "/nothing/here"}),
            ("NotRegular", "sender", 1, {"source": D + "/fifo"}),
            ("NotRegular", "sender", 1, {"source": "/dev/null"}),
            ("NotDirectory", "sender", 1, {"source": path + "/below"}),
            ("NameTooLong", "sender", 1, {"source": "/" + "x" * 300, "dest": "short"}),
            ("DestinationExists", "receiver", 6, {"source": path, "dest": "there", "overwrite": "never"}),
            ("IsDirectory", "receiver", 1, {"source": path, "dest": "a-directory"}),
            ("NotDirectory", "receiver", 1, {"source": path, "dest": "there/below"}),
            ("UnsafePath", "receiver", 4, {"source": path, "dest": "way-out/x"}),
            ("UnsafePath", "receiver", 4, {"source": path, "dest": "circle/x"})):
        job = check_job(c.call("transfer.submit", params, wait=True))
        data = job["error"]["data"]
        equal((job["state"], data["name"], data["side"], job["exit_code"], data["job"]), ("failed", name, side, exit_code, job["job"]), str(params))
assert not os.path.exists("/tmp/x")
END
    rm "$ROOT/way-out" "$ROOT/circle" "$D/fifo" "$D/loop"
    rmdir "$ROOT/a-directory"
}

@test "a job that was never given is NoSuchJob" {
    py <<'END'
with Client() as c:
    for method in ("transfer.status", "transfer.wait", "transfer.cancel", "transfer.retry", "events.subscribe"):
        error = c.refuses("NoSuchJob", method, {"job": 10**9})
        equal(error["data"].get("job"), 10**9)
END
}

@test "transfer.wait with a timeout that runs out is Timeout, and the job goes on; a cancelled job is Cancelled" {
    py <<'END'
path = make_file("timeout", 40 << 20)
with Client() as c:
    rank1 = rank_pid(c, 1)
    os.kill(rank1, signal.SIGSTOP)
    try:
        job = c.call("transfer.submit", source=path)["job"]
        second = c.call("transfer.submit", source=path)["job"]
        for timeout in (0, 0.01):
            equal(c.refuses("Timeout", "transfer.wait", {"job": job, "timeout": timeout})["data"]["job"], job)
        waiting = check_job(c.call("transfer.status", job=second))
        assert waiting["state"] == "queued" and str(job) in waiting["reason"], waiting
        cancelled = check_job(c.call("transfer.cancel", job=second))
        equal((cancelled["state"], cancelled["exit_code"], cancelled["error"]["data"]["name"]), ("cancelled", 10, "Cancelled"))
        equal(c.call("transfer.cancel", job=second), cancelled, "cancelled again")
    finally:
        os.kill(rank1, signal.SIGCONT)
    equal(check_job(c.call("transfer.wait", job=job, timeout=SECONDS))["state"], "done")
    equal(c.call("transfer.cancel", job=job)["state"], "done", "a job that has ended already")
    equal(c.call("transfer.wait", job=job, timeout=0)["state"], "done")
os.unlink(path)
END
}

@test "a key given twice is one job, with existing, whatever became of it, and with wait when it has ended" {
    py <<'END'
path = make_file("keyed", 1000)
with Client() as c:
    first = check_job(c.call("transfer.submit", source=path, key="k1", wait=True))
    equal((first["state"], first["key"], first["existing"]), ("done", "k1", False))
    for more in ({}, {"wait": True}):
        again = check_job(c.call("transfer.submit", source=path, key="k1", **more))
        equal((again["job"], again["state"], again["existing"]), (first["job"], "done", True))
    equal(c.call("transfer.status", job=first["job"])["existing"], False)
    failed = c.call("transfer.submit", source=path + "?", key="k2", wait=True)
    again = c.call("transfer.submit", source=path + "?", key="k2", wait=True)
    equal((again["job"], again["state"], again["existing"]), (failed["job"], "failed", True))
    rank1 = rank_pid(c, 1)
    large = make_file("keyed-large", 40 << 20)
    os.kill(rank1, signal.SIGSTOP)
    try:
        first = c.call("transfer.submit", source=large, key="k3")
        again = c.call("transfer.submit", source=large, key="k3")
        equal((again["job"], again["existing"]), (first["job"], True))
        c.say({"id": 9, "method": "transfer.submit", "params": {"source": large, "key": "k3", "wait": True}})
        with Client() as other:
            other.serves()
    finally:
        os.kill(rank1, signal.SIGCONT)
    reply = c.reply()
    equal((reply["id"], reply["result"]["job"], reply["result"]["state"], reply["result"]["existing"]), (9, first["job"], "done", True))
os.unlink(large)
END
}

@test "submissions of one key that come together are one job" {
    py <<'END'
path = make_file("together", 1000)
request = {"method": "transfer.submit", "params": {"source": path, "key": "together"}}
with Client() as c, Client() as d:
    c.say(*(dict(request, id=i) for i in range(20)))
    d.say([dict(request, id=i) for i in range(20)])
    results = [c.reply()["result"] for _ in range(20)] + [r["result"] for r in d.reply()]
equal(len({r["job"] for r in results}), 1)
equal([r["existing"] for r in results].count(False), 1)
END
}

@test "another request under a used key is KeyConflict, and makes no job" {
    py <<'END'
path, other = make_file("conflict", 1000), make_file("conflict-2", 10)
with Client() as c:
    job = c.call("transfer.submit", source=path, dest="conflict", key="conflict", priority=3, retries=2, wait=True)["job"]
    same = {"source": path, "dest": "conflict", "key": "conflict", "priority": 3, "retries": 2}
    equal(c.call("transfer.submit", same)["job"], job)
    count = lambda: sum(c.call("system.stats")["jobs"].values())
    before = count()
    for change in ({"source": other}, {"dest": "elsewhere"}, {"dest": "conflict/"}, {"priority": 4}, {"retries": 1}, {"overwrite": "never"},
                   {"sync": "none"}):
        error = c.refuses("KeyConflict", "transfer.submit", same | change)
        assert str(job) in error["message"], error
        equal(error["data"]["job"], job)
    equal(count(), before)
END
}

@test "a job is its own under each key, and without one" {
    py <<'END'
path = make_file("keys", 10)
with Client() as c:
    jobs = [c.call("transfer.submit", {"source": path} | ({"key": key} if key else {}))["job"] for key in ("a", "b", "A", "a ", None, None)]
    equal(len(set(jobs)), 6)
END
}

@test "transfer.retry runs a job that has failed again, under its number" {
    py <<'END'
path = D + "/later"
with Client() as c:
    failed = c.call("transfer.submit", source=path, retries=5, wait=True)
    equal((failed["state"], failed["attempts"], failed["retries"]), ("failed", 1, 5))
    make_file("later", 1000)
    again = check_job(c.call("transfer.retry", job=failed["job"]))
    equal(again["job"], failed["job"])
    done = check_job(c.call("transfer.wait", job=failed["job"]))
    equal((done["state"], done["error"], done["attempts"]), ("done", None, 2))
    same_file(path, ROOT + "/later")
    error = c.refuses("InvalidParams", "transfer.retry", {"job": failed["job"]})
    assert "done" in error["message"], error
END
}

@test "transfer.retry of a cancelled job runs it, of one that waits or runs changes nothing" {
    py <<'END'
path = make_file("retried", 40 << 20)
with Client() as c:
    rank1 = rank_pid(c, 1)
    os.kill(rank1, signal.SIGSTOP)
    try:
        running = c.call("transfer.submit", source=path)["job"]
        queued = c.call("transfer.submit", source=path)["job"]
        cancelled = c.call("transfer.submit", source=path, dest="elsewhere/x")["job"]
        within(SECONDS, lambda: c.call("transfer.status", job=running)["bytes_done"] > 0)
        for job, state in ((running, "running"), (queued, "queued")):
            before = c.call("transfer.status", job=job)
            again = check_job(c.call("transfer.retry", job=job))
            equal((again["state"], again["attempts"], again["reason"]), (state, before["attempts"], before["reason"]))
        c.say({"id": 5, "method": "transfer.cancel", "params": {"job": cancelled}})
    finally:
        os.kill(rank1, signal.SIGCONT)
    state = c.reply()["result"]["state"]
    if state == "cancelled":
        equal(c.call("transfer.retry", job=cancelled)["state"] in ("queued", "running"), True)
    for job in (running, queued, cancelled):
        equal(c.call("transfer.wait", job=job)["state"], "done")
    same_file(path, ROOT + "/elsewhere/x")
os.unlink(path)
END
}

@test "a paused queue takes jobs and starts none, until it is resumed" {
    py <<'END'
path = make_file("paused", 1000)
with Client() as c:
    equal(c.call("queue.pause"), {"paused": True, "draining": False, "queued": 0, "running": 0})
    try:
        job = c.call("transfer.submit", source=path, dest="paused-1")["job"]
        waiting = check_job(c.call("transfer.status", job=job))
        assert waiting["state"] == "queued" and "pause" in waiting["reason"], waiting
        equal(c.call("queue.pause"), {"paused": True, "draining": False, "queued": 1, "running": 0}, "paused twice")
        equal(c.call("system.stats")["queue"], {"paused": True, "draining": False})
        assert not os.path.exists(ROOT + "/paused-1")
    finally:
        equal(c.call("queue.resume")["paused"], False)
    equal(c.call("transfer.wait", job=job)["state"], "done")
    equal(c.call("queue.resume"), {"paused": False, "draining": False, "queued": 0, "running": 0}, "resumed twice")
END
}

@test "a draining queue refuses jobs, runs what it has, and is answered when it is empty" {
    py <<'END'
path = make_file("drained", 40 << 20)
with Client() as c, Client() as d:
    failed = c.call("transfer.submit", source=path + "?", wait=True)["job"]
    rank1 = rank_pid(c, 1)
    os.kill(rank1, signal.SIGSTOP)
    try:
        job = c.call("transfer.submit", source=path)["job"]
        d.say({"id": 1, "method": "queue.drain"})
        within(SECONDS, lambda: c.call("system.stats")["queue"]["draining"])
        c.refuses("Draining", "transfer.submit", {"source": path})
        c.refuses("Draining", "transfer.retry", {"job": failed})
        equal(c.call("transfer.retry", job=job)["job"], job)
    finally:
        os.kill(rank1, signal.SIGCONT)
    equal(d.reply()["result"], {"paused": False, "draining": True, "queued": 0, "running": 0})
    equal(c.call("transfer.status", job=job)["state"], "done")
    equal(c.call("queue.drain")["draining"], True, "an empty queue is drained at once")
    c.refuses("Draining", "transfer.submit", {"source": path})
    equal(c.call("queue.resume")["draining"], False)
    equal(c.call("transfer.submit", source=path, wait=True)["state"], "done")
os.unlink(path)
END
}

@test "queue.resume answers those who wait for the end of a drain" {
    py <<'END'
path = make_file("resumed", 40 << 20)
with Client() as c, Client() as d:
    rank1 = rank_pid(c, 1)
    os.kill(rank1, signal.SIGSTOP)
    try:
        job = c.call("transfer.submit", source=path)["job"]
        d.say({"id": 1, "method": "queue.drain"}, {"id": 2, "method": "queue.drain"})
        within(SECONDS, lambda: c.call("system.stats")["queue"]["draining"])
        c.call("queue.resume")
        for result in (d.reply()["result"], d.reply()["result"]):
            equal((result["draining"], result["queued"] + result["running"]), (False, 1))
    finally:
        os.kill(rank1, signal.SIGCONT)
    equal(c.call("transfer.wait", job=job)["state"], "done")
os.unlink(path)
END
}

@test "more watched jobs than there may be are TooBusy" {
    py <<'END'
with Client() as c:
    first = c.ask([{"id": i, "method": "transfer.submit", "params": {"source": "/none/x"}} for i in range(1024)])
    first = min(r["result"]["job"] for r in first)
    path = make_file("watched", 40 << 20)
    rank1 = rank_pid(c, 1)
    os.kill(rank1, signal.SIGSTOP)
    try:
        jobs = [c.call("transfer.submit", source=path, dest="watched")["job"] for _ in range(1025)]
        replies = c.pipeline({"id": job, "method": "events.subscribe", "params": {"job": job}} for job in jobs)
        equal(["error" in r for r in replies], [False] * 1024 + [True])
        equal(replies[-1]["error"]["data"]["name"], "TooBusy")
        c.call("events.unsubscribe")
        c.say(*({"id": job, "method": "transfer.cancel", "params": {"job": job}} for job in jobs))
    finally:
        os.kill(rank1, signal.SIGCONT)
    for _ in jobs:
        c.reply()
os.unlink(path)
END
}

@test "the documented errors are those of the program" {
    py <<'END'
import re
text = open(os.environ["top_srcdir"] + "/proto/error.c", encoding="utf-8").read()
rows = re.findall(r'\{"(\w+)", (-\d+), (\d+), (true|false)\}', text)
equal({name: (int(code), int(exit_code), retryable == "true") for name, code, exit_code, retryable in rows}, documented_errors())
END
}

@test "the tags, types and version of the link are those of wire.h" {
    py <<'END'
import re
top = os.environ["top_srcdir"]
header = open(top + "/proto/wire.h", encoding="utf-8").read()
text = open(top + "/proto/PROTOCOL.md", encoding="utf-8").read()
tags = {(name, int(n)) for name, n in re.findall(r"WIRE_TAG_([A-Z]+) =\s+(\d+)", header)}
told = {(name, int(n)) for n, name in re.findall(r"^\| (\d+) \| [^|]*\(([A-Z]+)\)[^|]*\| [^|]* \| (?:a lane|world) \|$", text, re.M)}
equal(told - {("END", 2)}, tags)
types = re.search(r"enum wire_type \{(.*?)\};", header, re.S)[1].replace(" = 1", "").replace("WIRE_", "").split(",")
row = re.search(r"^\| 5 \| 1 \| type: (.*) \|$", text, re.M)[1]
equal([f"{i} {name.strip()}" for i, name in enumerate(types, 1)], row.split(", "))
equal(re.search(r"version: (\d+) \|", text)[1], re.search(r"WIRE_VERSION +(\d+)", header)[1])
END
}
