# SPDX-License-Identifier: MIT
#
# xferctl top while the daemon goes and comes back.

load xferd

setup() {
    make_place
    needs_terminals
    start_xferd
}

teardown() { remove_place; }

@test "top goes on over a restart of the ranks" {
    py <<'END'
from terminal import *
with Terminal([os.environ["XFERCTL"], "-s", S, "top", "--interval", "100ms"], cols=100) as t:
    t.await_text("^peer .* up")
    for start in 2, 3:
        os.kill(next(r["pid"] for r in Client().call("system.hello")["ranks"] if r["rank"] == 0), signal.SIGKILL)
        t.await_text(rf", start {start}$")
        t.await_text("^peer .* up")
    t.key("q")
    equal(t.end(), 0)
END
}

@test "top waits for a daemon that was stopped and is started again" {
    "$XFERCTL" -s "$S" top --interval 100ms >"$D/out" 2>"$D/err" 3>&- &
    local top=$!
    within 10 grep -q '^peer .* up' "$D/out"
    stop_xferd
    within 10 grep -qx 'xferctl: waiting for the daemon' "$D/err"
    : >"$D/out"
    start_xferd
    within 10 grep -q '^peer .* up' "$D/out"
    kill -INT $top
    local status=0
    wait $top || status=$?
    [ $status -eq 130 ]
    [ "$(cat "$D/err")" = 'xferctl: waiting for the daemon' ]
}
