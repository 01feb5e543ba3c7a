//! The server opens no connection of its own. Told by counting what leaves: the site runs in a network namespace whose
//! only way out is a sink, every page is asked for, forms are sent, Git pushes and clones, and the sink has got nothing.

use std::fmt::Write;

use base::process::{Finished, Program};

use crate::require;
use crate::site::{ADMIN, Ground, PASSWORD, binary, out};

/// A loopback, and a sink behind which everything else would be.
const NETWORK: &str = "ip link set lo up && ip link add sink type bridge mcast_snooping 0 \
    && echo 1 > /proc/sys/net/ipv6/conf/sink/disable_ipv6 && ip address add 192.0.2.2/24 dev sink \
    && ip link set sink up && ip route add default dev sink";
/// Packets that went into the sink.
const COUNT: &str = "awk '/sink:/ { print \"sent\", $11 }' /proc/net/dev";

fn in_network(home: &std::path::Path, script: &str) -> Result<Finished, String> {
    let program = Program::new("unshare").options(["--net", "sh", "-c", &format!("{NETWORK} && {script}")]);
    let program = program.directory(home).env("HOME", home).env("TMPDIR", home).env("GIT_CONFIG_NOSYSTEM", "1");
    program.deadline(std::time::Duration::from_mins(4)).run(b"").map_err(|error| error.to_string())
}

/// Every page of the route table, and the doors beside it, with something behind each.
fn pages() -> Vec<String> {
    // A stream of events has no end.
    let is_page = |route: &&serve::web::Route| !route.pattern.ends_with("/events");
    let gets =
        serve::web::ROUTES.iter().filter(|route| matches!(route.method, serve::web::Method::Get)).filter(is_page);
    let named = gets.map(|route| {
        let path = route.pattern.replace("{owner}", ADMIN).replace("{repo}", "project").replace("{name}", ADMIN);
        path.replace("{id}", "main").replace("{file}", "x").replace("{*rest}", "main/README.md")
    });
    named.chain(["/healthz", "/readyz", "/metrics", "/ca.pem"].map(str::to_owned)).collect()
}

/// What a visitor does, in a shell: `$U` is the site. Prints each page's status.
fn visit() -> String {
    let password = PASSWORD.replace(' ', "%20");
    let mut script = format!(
        "set -e; C='curl --silent --insecure --max-time 30 --cookie jar --cookie-jar jar'; \
         $C --output /dev/null -H \"Origin: $U\" --data-urlencode name={ADMIN} --data-urlencode 'password={PASSWORD}' $U/sign-in; \
         T=$($C $U/new | sed -n 's/.*name=\"csrf\" value=\"\\([0-9a-f]*\\)\".*/\\1/p' | head -n 1); \
         $C --output /dev/null -H \"Origin: $U\" --data csrf=$T --data name=project --data visibility=public $U/new; \
         git init --quiet --initial-branch=main work; cd work; \
         printf '![x](http://192.0.2.9/x.png) <img src=http://192.0.2.9/y.png>\\n' > README.md; git add .; \
         git -c user.name=A -c user.email=a@example.test commit --quiet --message=x; \
         P=$(echo $U | sed 's,//,//{ADMIN}:{password}@,'); \
         git -c http.sslVerify=false push --quiet $P/{ADMIN}/project.git main; cd ..; \
         git -c http.sslVerify=false clone --quiet $U/{ADMIN}/project.git copy; "
    );
    for page in pages() {
        write!(script, "$C --output /dev/null --write-out '%{{http_code}} {page}\\n' \"$U{page}\"; ").unwrap();
    }
    script
}

#[test]
fn the_server_opens_no_connection_of_its_own() {
    let ground = Ground::new();
    let tried = in_network(ground.home(), COUNT);
    let tried = tried.and_then(|done| done.status.success().then_some(()).ok_or(done.stderr));
    let has_curl = require::program("curl").map(drop);
    if !require::has("netns", tried.and(has_curl)) {
        return;
    }
    let (program, site) = (binary(), ground.site());
    let (program, root) = (program.display(), site.root().display());
    let script = format!(
        "{program} install --embedded {root} --lab --yes --http 127.0.0.1:0 --ssh 127.0.0.1:0 --admin {ADMIN} \
         --admin-password-file password > installed 2>&1 || {{ cat installed; exit 1; }}; \
         U=$(sed -n 's/^SITE_URL=//p' {root}/.env | tr -d \"'\\\"\"); ( {} ); R=$?; {COUNT}; \
         curl --silent --max-time 1 http://192.0.2.99/ || true; {COUNT}; {program} down {root}; exit $R",
        visit()
    );
    let done = in_network(ground.home(), &script).unwrap();
    let said = out(&done);
    assert!(done.status.success(), "{said}{}", done.stderr);
    let answered = said.lines().filter(|line| line.starts_with("200 ")).count();
    assert!(answered > 20, "{said}");
    assert!(!said.lines().any(|line| line.starts_with('5')), "{said}");
    let counts: Vec<u64> =
        said.lines().filter_map(|line| line.strip_prefix("sent ")).map(|count| count.parse().unwrap()).collect();
    let [own, control] = counts.as_slice() else { panic!("{said}") };
    assert_eq!(*own, 0, "the server sent something out:\n{said}");
    assert!(*control > 0, "the sink counts nothing at all:\n{said}");
}
