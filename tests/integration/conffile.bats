# SPDX-License-Identifier: MIT
#
# The example of a configuration file and xferd.conf(5): both must know every key, and the example the true defaults.

setup() { D=$(mktemp -d "${TMPDIR:-/tmp}/xt-XXXXXX"); }
teardown() { rm -rf "$D"; }

example=$top_srcdir/daemon/xferd.conf

# The settings in effect of a service with that configuration.
settings() { RUNTIME_DIRECTORY=/run/xfer "$XFERD" "$@" --check-config; }

# "section.key" of each setting in an INI file, those behind "#" too.
keys() { sed -n -E 's/^#?([a-z_]+) =.*/\1/p; s/^(\[[a-z]+\])$/\1/p' "$1" | awk '/^\[/ { section = substr($0, 2, length($0) - 2); next } { print section "." $0 }'; }

@test "the example, as it is, changes nothing" {
    settings >"$D/default"
    settings -c "$example" >"$D/example"
    diff "$D/default" "$D/example"
}

@test "the example names every key, in the order of --check-config" {
    settings >"$D/default"
    diff <(keys "$D/default") <(keys "$example")
}

@test "what the example shows are the defaults" {
    settings >"$D/default"
    # whether there is a group xfer is this machine's business
    sed -E 's/^#([a-z_]+ =)/\1/' "$example" | grep -v '^group =' >"$D/xferd.conf"
    settings -c "$D/xferd.conf" >"$D/example"
    diff "$D/default" "$D/example"
}

@test "each key of the example comes after a comment that says what it is" {
    run awk '/^# / { told = 1; next } /^#[a-z_]+ =/ { if (!told) print; next } { told = 0 }' "$example"
    echo "$output"
    [ -z "$output" ]
}

@test "xferd.conf(5) has a paragraph for every key, in its section" {
    settings >"$D/default"
    awk '$1 == ".Sh" && $2 ~ /^\[/ { section = substr($2, 2, length($2) - 2) } $1 == ".It" && $2 == "Va" { print section "." $3 }' \
        "$top_srcdir/daemon/xferd.conf.5" >"$D/man"
    diff <(keys "$D/default" | sort) <(sort "$D/man")
}

@test "the examples of xferd.conf(5) are configurations that xferd takes" {
    awk -v d="$D" '/^\.Sh / { on = $2 == "EXAMPLES" } /^\.Bd/ { inside = on; n += on; next } /^\.Ed/ { inside = 0 }
        inside { print >(d "/" n ".conf") }' "$top_srcdir/daemon/xferd.conf.5"
    [ -s "$D/1.conf" ]
    local example
    for example in "$D"/*.conf; do
        # whether there is such a group is this machine's business
        sed -i "s/@operators/@$(id -gn)/" "$example"
        cat "$example"
        settings -c "$example" >"$D/settings"
        diff <(keys "$example" | sort) <(comm -12 <(keys "$example" | sort) <(keys "$D/settings" | sort))
    done
}
