# SPDX-License-Identifier: MIT
#
# The Debian package of this tree, built once for all that need it: whoever comes first builds it, others wait for that, and it stays until
# something in the tree changes. Nothing is installed here.
#
#   package_build   sets and exports DEB, the package; NEXT_DEB, its next version; PACKAGES, the directory they are in, with the tree and the build in
#                   xfer/. Where that cannot be, DEB is empty and PACKAGE_MISSING says why. Fails when the build does. Call it in setup_file

package_cannot() {
    local tool
    [ -r "$top_srcdir/debian/control" ] || { echo 'debian/ is not part of this tree'; return; }
    [ -z "${SANITIZER-}" ] || { echo 'it is built without sanitizers in any case'; return; }
    for tool in dpkg-buildpackage dh dpkg-deb flock; do
        command -v "$tool" >/dev/null || { echo "$tool is not installed"; return; }
    done
    (cd "$top_srcdir" && dpkg-checkbuilddeps -P nocheck 2>&1)
}

# What is or will be in the repository; elsewhere all but builds.
package_files() {
    (cd "$top_srcdir" && git ls-files -co --exclude-standard 2>/dev/null) ||
        (cd "$top_srcdir" && find . -type f ! -path './build*/*' ! -path './.git/*' ! -name config.status ! -name '*.o')
}

package_tree() {
    package_files | LC_ALL=C sort | tar -C "$top_srcdir" -c --ignore-failed-read -T - 2>/dev/null
}

# The names, modes and contents of the files, whenever they were written.
package_key() {
    package_files | LC_ALL=C sort | tar -C "$top_srcdir" -c --ignore-failed-read --mtime=@0 --owner=0 --group=0 --numeric-owner -T - 2>/dev/null | sha256sum
}

package_make() {
    local key
    key=$(package_key)
    [ "$(cat "$PACKAGES/key" 2>/dev/null)" != "$key" ] || return 0
    rm -rf "$PACKAGES"
    mkdir -p "$PACKAGES/xfer"
    package_tree | tar -C "$PACKAGES/xfer" -x
    # the unit tests have been run where this is, and nobody looks for its debugging symbols
    (cd "$PACKAGES/xfer" && env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS -u TESTS -u top_srcdir -u top_builddir -u MPIEXEC \
        DEB_BUILD_OPTIONS='nocheck noautodbgsym parallel=2' DEB_BUILD_PROFILES='nocheck noinsttest' \
        dpkg-buildpackage -us -uc -b >"$PACKAGES/build.log" 2>&1) || { tail -n 40 "$PACKAGES/build.log" >&2; return 1; }
    (cd "$PACKAGES" && ln -s xfer_*.deb xfer.deb)

    # the next version: the same but for its number
    dpkg-deb -R "$PACKAGES/xfer.deb" "$PACKAGES/next"
    sed -i 's/^Version: .*/&+next/' "$PACKAGES/next/DEBIAN/control"
    dpkg-deb --root-owner-group -Znone -b "$PACKAGES/next" "$PACKAGES/next.deb" >/dev/null
    echo "$key" >"$PACKAGES/key"
}

package_build() {
    export PACKAGES=$top_builddir/tests/package DEB= NEXT_DEB= PACKAGE_MISSING
    PACKAGE_MISSING=$(package_cannot)
    [ -z "$PACKAGE_MISSING" ] || return 0
    (flock 9 && package_make 9>&-) 9>"$PACKAGES.lock" 3>&- || return 1
    DEB=$PACKAGES/xfer.deb NEXT_DEB=$PACKAGES/next.deb
}
