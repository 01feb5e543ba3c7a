//! The API against its own description, by a tool that knows neither: schemathesis makes requests of every shape, and no
//! answer may be a fault of ours or differ from what the description says.

use std::path::{Path, PathBuf};
use std::time::Duration;

use base::process::Program;
use serde_json::json;

use crate::api_caller::Caller;
use crate::require;
use crate::site::{ADMIN, PASSWORD, Site, out};

/// Requests for each address, unless `GITGRIT_TEST_EXAMPLES` says otherwise.
const EXAMPLES: &str = "6";

/// The tool where `GITGRIT_TEST_SCHEMATHESIS` says, where `scripts/dev-setup` puts it, or in PATH.
fn tool() -> Result<PathBuf, String> {
    if let Some(path) = std::env::var_os("GITGRIT_TEST_SCHEMATHESIS") {
        return Ok(path.into());
    }
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/lab/schemathesis/bin/schemathesis");
    if own.is_file() { Ok(own) } else { require::program("schemathesis") }
}

#[test]
fn the_description_holds_for_requests_of_every_shape() {
    let found = tool();
    if !require::has("schemathesis", found.clone().map(drop)) {
        return;
    }
    let site = Site::start();
    let olga = Caller::knowing(&site, ADMIN);
    olga.post("/user/repos", json!({ "name": "notes" })).expect(201);
    let content = json!({ "content": "b25lCg==", "message": "one" });
    olga.post("/repos/olga/notes/contents/README.md", content).expect(201);
    let (_, token) = Caller::holding(&site, ADMIN, &["all"]);
    let examples = std::env::var("GITGRIT_TEST_EXAMPLES").unwrap_or_else(|_| EXAMPLES.into());
    for authorization in [None, Some(format!("Authorization: token {token}"))] {
        let mut program = Program::new(found.as_ref().unwrap().to_str().unwrap())
            .options(["run", &format!("{}/api/v1/openapi.json", site.url())])
            .options(["--url", &format!("{}/api/v1", site.url())])
            .options([
                "--checks",
                "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance",
            ])
            .options(["--max-examples", &examples, "--phases", "examples,coverage,fuzzing", "--workers", "2"])
            .options([
                "--generation-with-security-parameters",
                "false",
                "--generation-deterministic",
                "--no-color",
                "--request-timeout",
                "30",
            ])
            .options(["--tls-verify".as_ref(), site.ca_file().as_os_str()])
            .env("HOME", site.home())
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .directory(site.home())
            .deadline(Duration::from_mins(20));
        if let Some(header) = &authorization {
            program = program.options(["--header", header]);
        }
        let done = program.run(b"").unwrap();
        let said = out(&done);
        assert!(done.status.success(), "{said}\n{}", done.stderr);
        // Removing the administrator is refused, so the site is still its own.
        assert_eq!(Caller::knowing(&site, ADMIN).get("/user").status, 200, "{PASSWORD}");
        eprintln!(
            "{}",
            said.lines().rev().take(12).collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>().join("\n")
        );
    }
}
