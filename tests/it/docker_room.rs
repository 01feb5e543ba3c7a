//! The room that speaks to the engine, before an engine of the test's own: images saved, loaded, named and removed, and what
//! happens when the engine, or the archive, ends half-way.

use std::io::{self, Cursor, Read};
use std::os::unix::net::UnixListener;

use base::process::Program;
use docker::{EngineError, Reference};

use crate::engine::Engine;

/// A tar of one file.
fn layer(name: &str, content: &[u8]) -> Vec<u8> {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join(name), content).unwrap();
    let done = Program::new("tar").options(["--mtime=@0", "-cf", "-", name]).directory(home.path()).run(b"").unwrap();
    assert!(done.status.success(), "{}", done.stderr);
    done.stdout
}

/// Gives the engine an image of one layer.
pub(crate) fn import(engine: &Engine, reference: &str, changes: &[&str], content: &[u8]) {
    let mut options = vec!["import".to_owned()];
    options.extend(changes.iter().flat_map(|change| ["--change".to_owned(), (*change).to_owned()]));
    let program = Program::new("docker").options(&options).operands(["-", reference]);
    let done = program.env("DOCKER_HOST", engine.address()).run(&layer("file", content)).unwrap();
    assert!(done.status.success(), "{}", done.stderr);
}

fn named(text: &str) -> Reference {
    Reference::parse(text).unwrap()
}

#[test]
fn an_image_goes_out_of_an_engine_and_comes_back_with_the_same_id() {
    if !Engine::is_possible() {
        return;
    }
    let engine = Engine::start("{}", "");
    let asked = docker::Engine::connect(&engine.address()).unwrap();
    assert!(asked.store().unwrap().root.ends_with("/root"));
    assert_eq!(asked.image(&named("a:1")).unwrap(), None);
    let content: Vec<u8> = (0..2_000_000_u32).flat_map(u32::to_le_bytes).collect();
    import(&engine, "a:1", &["ENV GIT_SHA=abc", "LABEL one=two"], &content);
    let image = asked.image(&named("a:1")).unwrap().unwrap();
    assert_eq!((image.tags.as_slice(), image.layers.len()), (&["a:1".to_owned()][..], 1));
    assert_eq!((image.environment["GIT_SHA"].as_str(), image.labels["one"].as_str()), ("abc", "two"));
    assert_eq!(asked.images().unwrap(), std::slice::from_ref(&image.id));

    let mut archive = Vec::new();
    asked.save(&[named("a:1")]).read_to_end(&mut archive).unwrap();
    assert!(archive.len() > content.len());
    asked.remove(&named("a:1")).unwrap();
    assert_eq!(asked.images().unwrap(), Vec::<String>::new());

    // What breaks off half-way leaves nothing behind.
    let half = archive.len() / 2;
    let mut broken = Cursor::new(archive[..half].to_vec()).chain(Failing);
    let error = asked.load(&mut broken).unwrap_err();
    assert!(matches!(&error, EngineError::Archive { source } if source.to_string() == "the medium is gone"), "{error}");
    let error = asked.load(&mut Cursor::new(archive[..half].to_vec())).unwrap_err();
    assert!(matches!(error, EngineError::Refused { .. }), "{error}");
    assert_eq!(asked.images().unwrap(), Vec::<String>::new());

    let mut unpacked = 0;
    assert_eq!(asked.load_telling(&mut Cursor::new(&archive), &mut |more| unpacked += more).unwrap(), ["a:1"]);
    assert!(unpacked >= content.len() as u64, "the engine says how far it is: {unpacked}");
    assert_eq!(asked.image(&named("a:1")).unwrap().unwrap(), image);
    asked.tag(&named(&image.id), "b", "2").unwrap();
    assert_eq!(asked.image(&named("b:2")).unwrap().unwrap().id, image.id);
    let error = asked.save(&[named("no-such:1")]).read_to_end(&mut Vec::new()).unwrap_err();
    assert!(error.to_string().contains("reference does not exist"), "the engine's own words: {error}");
}

/// Reads as a stick that was pulled out.
struct Failing;

impl Read for Failing {
    fn read(&mut self, _buffer: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::other("the medium is gone"))
    }
}

#[test]
fn an_engine_that_is_not_there_is_said_to_be_unavailable() {
    let home = tempfile::tempdir().unwrap();
    let socket = home.path().join("docker.sock");
    let address = format!("unix://{}", socket.display());
    let unavailable = |host: &str| docker::Engine::connect(host).map(drop).unwrap_err().is_unavailable();
    assert!(unavailable(&address), "no socket");
    let listener = UnixListener::bind(&socket).unwrap();
    let closing = std::thread::spawn(move || listener.accept().map(drop));
    assert!(unavailable(&address), "an engine that hangs up");
    closing.join().unwrap().unwrap();
    assert!(unavailable(&address), "a socket that nobody listens on");
    assert!(unavailable("ssh://host"), "an address that is not spoken");
    assert!(unavailable(&format!("tcp://127.0.0.1:{}", crate::require::free_port())), "a port that nobody listens on");
}
