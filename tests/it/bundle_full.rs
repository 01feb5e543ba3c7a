//! A load into an engine whose disk is small: what is needed is said before a byte is sent, or by the engine itself when nobody could see
//! it before, and in both cases nothing is left.

use base::process::Program;

use crate::bundle_travel::{Workshop, has_nothing};
use crate::engine::Engine;
use crate::site::out;

/// An engine whose data lie on a disk of so many MiB, seen by nobody outside of its namespace.
fn small(size: u32) -> Engine {
    Engine::start("{}", &format!("mkdir -p \"$HOME/root\"\nmount -t tmpfs -o size={size}m none \"$HOME/root\""))
}

/// Bytes that are taken on the engine's disk.
fn taken(engine: &Engine) -> u64 {
    let space = format!("--mount=/proc/{}/ns/mnt", engine.process());
    let root = engine.root().display().to_string();
    let done = Program::new("nsenter").options([&space, "du", "-sk", &root]).run(b"").unwrap();
    out(&done).split_whitespace().next().unwrap().parse().unwrap()
}

#[test]
fn an_engine_without_room_gets_nothing_and_it_is_said_how_much_it_needs() {
    let Some(workshop) = Workshop::open() else { return };
    workshop.built("dist", &[]);
    let target = small(18);
    let before = taken(&target);
    for how in [&[][..], &["--stream"]] {
        // Seen from where the engine is, its disk is too small.
        let load = workshop.load(&target, "dist", how).into_parts().0;
        let space = format!("--mount=/proc/{}/ns/mnt", target.process());
        let program = Program::new("nsenter").options([&space, "sh", "-c", "cd \"$HOME\" && exec \"$0\" \"$@\""]);
        let program = program.option(load.get_program()).options(load.get_args()).env("HOME", workshop.path("."));
        let done = program.env("DOCKER_HOST", target.address()).run(b"").unwrap();
        let said = out(&done);
        assert_eq!(done.status.code(), Some(15), "{said}{}", done.stderr);
        assert!(said.contains("GG-BUNDLE-201") && said.contains("the engine needs "), "{said}");
        // Seen from outside it looks large, and the engine says it.
        let done = workshop.load(&target, "dist", how).run(b"").unwrap();
        let said = out(&done);
        assert_eq!(done.status.code(), Some(15), "{said}{}", done.stderr);
        assert!(said.contains("GG-BUNDLE-170") && said.contains("it needs "), "{said}");
        assert!(has_nothing(&target), "images were left: {}", out(&target.docker(&["images", "-a"])));
        let after = taken(&target);
        assert!(after < before + 1024, "{before} KiB before, {after} KiB after");
    }
    // With room, the same load goes on.
    let space = format!("--mount=/proc/{}/ns/mnt", target.process());
    let root = target.root().display().to_string();
    let grow = ["mount", "-o", "remount,size=200m", &root];
    let done = Program::new("nsenter").options([space.as_str()]).options(grow).run(b"").unwrap();
    assert!(done.status.success(), "{}", done.stderr);
    workshop.loaded(&target, "dist", &[]);
    assert_eq!(Workshop::ids(&target), Workshop::ids(&workshop.engine));
}
