# SPDX-License-Identifier: MIT
"""What a shell offers when TAB is pressed: types lines into an interactive bash or zsh on a terminal and tells the candidates.

    complete.py bash|zsh DIRECTORY <LINES

Prints for each line of standard input a line: the candidates, sorted, with blanks between. DIRECTORY is completion/ of the sources.
"""
import os
import pty
import select
import sys
import tempfile
import time

SECONDS = 60
DONE = "\x1b[99~"

BASH = r"""
PS1='$ '
HISTFILE=
bind 'set completion-query-items 0'; bind 'set bell-style none'
for file in "$COMPLETION"/bash/*; do source "$file"; done
_record() { "_${1##*/}" "$@"; printf '%s\n' "${COMPREPLY[@]}" >"$RECORD/candidates"; }
complete -F _record xferctl
complete -F _record xferd
_done() { : >"$RECORD/done"; }
bind -x '"\e[99~": _done'
: >"$RECORD/ready"
"""

ZSH = r"""
PS1='$ '
unset HISTFILE
LISTMAX=100000
fpath=("$COMPLETION/zsh" $fpath)
autoload -Uz compinit
compinit -u -D
unsetopt auto_list beep
zstyle ':completion:*' verbose no
# Every candidate goes through this; calls with -O, -A or -D only ask.
compadd() {
    if [[ ${@[1,(i)(-|--)]} != *-[a-zA-Z]#(O|A|D)[a-zA-Z]#\ * ]]; then
        local -a found
        builtin compadd -A found "$@"
        print -rl -- $found >>$RECORD/candidates
    fi
    builtin compadd "$@"
}
setopt extended_glob
bindkey '^I' complete-word
_done() { : >$RECORD/done }
zle -N _done
bindkey '\e[99~' _done
: >$RECORD/ready
"""


class Shell:
    def __init__(self, name, directory):
        self.place = tempfile.TemporaryDirectory()
        self.path = self.place.name
        rc = os.path.join(self.path, ".zshrc" if name == "zsh" else "bashrc")
        with open(rc, "w") as f:
            f.write(ZSH if name == "zsh" else BASH)
        argv = ["zsh", "-d", "-i"] if name == "zsh" else ["bash", "--noprofile", "--rcfile", rc, "-i"]
        env = {**os.environ, "ZDOTDIR": self.path, "RECORD": self.path, "COMPLETION": directory, "TERM": "xterm", "INPUTRC": "/dev/null"}
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execvpe(argv[0], argv, env)
        self.seen = b""
        self.await_file("ready")

    def await_file(self, name):
        path, end = os.path.join(self.path, name), time.monotonic() + SECONDS
        while not os.path.exists(path):
            assert time.monotonic() < end, f"no {name}: {self.seen[-2000:]!r}"
            if select.select([self.fd], [], [], 0.01)[0]:
                self.seen += os.read(self.fd, 65536)
        os.unlink(path)

    def complete(self, line):
        os.write(self.fd, (line + "\t" + DONE).encode())
        self.await_file("done")
        path = os.path.join(self.path, "candidates")
        found = set()
        if os.path.exists(path):
            with open(path, errors="surrogateescape") as f:
                found = {c for c in f.read().split("\n") if c}
            os.unlink(path)
        os.write(self.fd, b"\x15")  # the line goes
        return sorted(found)

    def end(self):
        os.write(self.fd, b"\x15exit\n")
        try:
            while more := os.read(self.fd, 65536):
                self.seen += more
        except OSError:
            pass
        os.close(self.fd)
        os.waitpid(self.pid, 0)
        self.place.cleanup()


if __name__ == "__main__":
    shell = Shell(sys.argv[1], os.path.abspath(sys.argv[2]))
    for line in sys.stdin.read().splitlines():
        print(*shell.complete(line))
    shell.end()
    assert b"xferctl: " not in shell.seen, f"a message came onto the terminal: {shell.seen!r}"
