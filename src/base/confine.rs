//! Walls around a child that reads what strangers sent: the files that it was given and the program's own, no network,
//! none of the kernel's doors that it has no business at, and an end to memory, time and open files. Only ever narrows.
//!
//! Landlock and seccomp hold a thread and all that it starts. So a child is started from a thread of its own that has
//! gone behind the walls, and no code of ours runs between its fork and its exec.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetStatus, Scope,
    make_bitflags, path_beneath_rules,
};
use rustix::process::{Pid, Resource, Rlimit, nice, prlimit};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};

/// What every program needs to start: its code, its libraries, and the loader's list of them.
const PROGRAM: [&str; 8] =
    ["/usr", "/bin", "/sbin", "/lib", "/lib64", "/etc/ld.so.cache", "/etc/ld.so.preload", "/etc/alternatives"];
/// Devices that programs open.
const DEVICES: [&str; 4] = ["/dev/null", "/dev/zero", "/dev/random", "/dev/urandom"];
/// The newest rules that we know; an older kernel takes those that it knows.
const RULES: ABI = ABI::V6;

/// Memory that a child may fill, in bytes. What it maps of files does not count.
const MEMORY: u64 = 2 << 30;
/// Processor time, in seconds.
const TIME: u64 = 2 * 60 * 60;
/// Open files.
const FILES: u64 = 4096;
/// How much a child stands back behind what answers people.
const NICENESS: i32 = 5;

/// What a child may touch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Confinement {
    readable: Vec<PathBuf>,
    writable: Vec<PathBuf>,
}

/// Which walls the kernel gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Walls {
    /// Files are walled off (Landlock).
    pub files: bool,
    /// System calls are (seccomp): the network above all.
    pub calls: bool,
}

impl Confinement {
    /// Nothing but the programs of this host.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets a file be read, or all below a directory.
    #[must_use]
    pub fn reading(mut self, path: &Path) -> Self {
        self.readable.push(path.into());
        self
    }

    /// Lets all below a directory be read and changed. Nothing there may be executed.
    #[must_use]
    pub fn writing(mut self, path: &Path) -> Self {
        self.writable.push(path.into());
        self
    }

    /// Calls `start` on a thread behind these walls; what it starts stays behind them. Fails when a wall that this kernel
    /// has cannot be built.
    pub fn around<T: Send>(&self, start: impl FnOnce() -> T + Send) -> io::Result<T> {
        self.look(start).map(|(started, _)| started)
    }

    /// Which walls children get here.
    pub fn walls() -> io::Result<Walls> {
        Self::new().look(|| ()).map(|((), walls)| walls)
    }

    fn look<T: Send>(&self, start: impl FnOnce() -> T + Send) -> io::Result<(T, Walls)> {
        std::thread::scope(|scope| {
            let inside = || self.enter().map(|walls| (start(), walls));
            let thread = std::thread::Builder::new().name("behind walls".into()).spawn_scoped(scope, inside)?;
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Puts the calling thread behind the walls, for good.
    fn enter(&self) -> io::Result<Walls> {
        // Standing back is a courtesy; nothing follows from its failure.
        let _ = nice(NICENESS);
        Ok(Walls { files: self.wall_off_files().map_err(io::Error::other)?, calls: wall_off_calls()? })
    }

    fn wall_off_files(&self) -> Result<bool, landlock::RulesetError> {
        let read: BitFlags<AccessFs> = make_bitflags!(AccessFs::{ReadFile | ReadDir});
        let change: BitFlags<AccessFs> =
            make_bitflags!(AccessFs::{WriteFile | Truncate | MakeReg | MakeDir | RemoveFile | RemoveDir | Refer});
        let device = make_bitflags!(AccessFs::{ReadFile | WriteFile});
        let status = Ruleset::default()
            .handle_access(AccessFs::from_all(RULES))?
            .handle_access(AccessNet::from_all(RULES))?
            .scope(Scope::from_all(RULES))?
            .create()?
            .add_rules(path_beneath_rules(PROGRAM, AccessFs::from_read(RULES)))?
            .add_rules(path_beneath_rules(program_directories(), AccessFs::from_read(RULES)))?
            .add_rules(path_beneath_rules(DEVICES, device))?
            .add_rules(path_beneath_rules(&self.readable, read))?
            .add_rules(path_beneath_rules(&self.writable, read | change))?
            .restrict_self()?;
        Ok(status.ruleset != RulesetStatus::NotEnforced)
    }
}

/// Where PATH finds programs, when that is outside what every host has.
fn program_directories() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).filter(|directory| directory.ends_with("bin") && directory.is_absolute()).collect()
}

/// Sets the limits of a child that has just started and has read nothing yet.
pub fn limit(child: u32) {
    let Some(pid) = i32::try_from(child).ok().and_then(Pid::from_raw) else { return };
    let limits = [(Resource::Data, MEMORY), (Resource::Cpu, TIME), (Resource::Nofile, FILES), (Resource::Core, 0)];
    for (resource, limit) in limits {
        // One that is gone already needs none.
        let _ = prlimit(Some(pid), resource, Rlimit { current: Some(limit), maximum: Some(limit) });
    }
}

/// Calls that a program which reads and writes files has no business with.
const REFUSED: &[i64] = &[
    // Of every family: one within this host reaches the engine, and the engine is the host.
    libc::SYS_socket,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_kcmp,
    libc::SYS_pidfd_getfd,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_kexec_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_adjtimex,
    libc::SYS_clock_adjtime,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_syslog,
    libc::SYS_open_by_handle_at,
    libc::SYS_name_to_handle_at,
    libc::SYS_mknodat,
];
/// Calls that are said not to exist, so that the C library takes the older ones, whose arguments can be looked at.
const ABSENT: &[i64] =
    &[libc::SYS_clone3, libc::SYS_io_uring_setup, libc::SYS_io_uring_enter, libc::SYS_io_uring_register];

/// Says whether the kernel has them.
fn wall_off_calls() -> io::Result<bool> {
    let mut refused: BTreeMap<i64, Vec<SeccompRule>> = REFUSED.iter().map(|call| (*call, Vec::new())).collect();
    // A namespace of its own is the beginning of most ways to become somebody else.
    let namespace = u64::from(libc::CLONE_NEWUSER.unsigned_abs());
    refused.insert(libc::SYS_clone, vec![condition(0, SeccompCmpOp::MaskedEq(namespace), namespace)?]);
    let absent = ABSENT.iter().map(|call| (*call, Vec::new())).collect();
    let mut has_all = true;
    for (calls, errno) in [(refused, libc::EPERM), (absent, libc::ENOSYS)] {
        has_all &= apply(also_as_x32(calls), errno)?;
    }
    Ok(has_all)
}

fn condition(argument: u8, operation: SeccompCmpOp, value: u64) -> io::Result<SeccompRule> {
    let condition = SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operation, value);
    condition.and_then(|condition| SeccompRule::new(vec![condition])).map_err(io::Error::other)
}

/// Kernels with the x32 convention know each call by a second number.
fn also_as_x32(mut calls: BTreeMap<i64, Vec<SeccompRule>>) -> BTreeMap<i64, Vec<SeccompRule>> {
    if cfg!(target_arch = "x86_64") {
        let second: Vec<_> = calls.iter().map(|(call, rules)| (call | 0x4000_0000, rules.clone())).collect();
        calls.extend(second);
    }
    calls
}

fn apply(calls: BTreeMap<i64, Vec<SeccompRule>>, errno: i32) -> io::Result<bool> {
    let Ok(machine) = std::env::consts::ARCH.try_into() else { return Ok(false) };
    let action = SeccompAction::Errno(errno.unsigned_abs());
    let filter = SeccompFilter::new(calls, SeccompAction::Allow, action, machine).map_err(io::Error::other)?;
    let program: BpfProgram = filter.try_into().map_err(io::Error::other)?;
    match seccompiler::apply_filter(&program) {
        Ok(()) => Ok(true),
        Err(seccompiler::Error::Seccomp(error) | seccompiler::Error::Prctl(error))
            if matches!(error.raw_os_error(), Some(libc::EINVAL | libc::ENOSYS)) =>
        {
            Ok(false)
        }
        Err(error) => Err(io::Error::other(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::Program;

    /// Two rooms with a file each, and a shell that may use the first.
    struct Ground {
        root: tempfile::TempDir,
    }

    impl Ground {
        fn new() -> Self {
            let root = tempfile::tempdir().unwrap();
            for room in ["own", "other"] {
                std::fs::create_dir(root.path().join(room)).unwrap();
                std::fs::write(root.path().join(room).join("file"), room).unwrap();
            }
            Self { root }
        }

        fn path(&self, name: &str) -> PathBuf {
            self.root.path().join(name)
        }

        fn can(&self, confinement: Option<Confinement>, script: &str) -> bool {
            let program = Program::new("bash").options(["-c", script]).env("ROOT", self.root.path());
            let program = match confinement {
                Some(confinement) => program.confined(confinement),
                None => program,
            };
            program.run(b"").unwrap().status.success()
        }
    }

    /// Each of these is something that a Git taken over by a crafted pack would try first.
    #[test]
    fn a_child_touches_its_own_files_and_nothing_else() {
        if !Confinement::walls().unwrap().files {
            eprintln!("absent: landlock: this kernel has none; this test did not run");
            return;
        }
        let ground = Ground::new();
        let reader = || Some(Confinement::new().reading(&ground.path("own")));
        let writer = || Some(Confinement::new().writing(&ground.path("own")));
        for (script, may_read, may_write) in [
            ("cat $ROOT/own/file", true, true),
            ("echo x > /dev/null", true, true),
            ("echo x > $ROOT/own/new && rm $ROOT/own/new", false, true),
            (
                "mkdir $ROOT/own/d && echo x > $ROOT/own/d/a && mv $ROOT/own/d/a $ROOT/own/a && rm -r $ROOT/own/[ad]",
                false,
                true,
            ),
            ("truncate --size 1 $ROOT/own/file", false, true),
            ("cp /bin/true $ROOT/own/program && chmod +x $ROOT/own/program && $ROOT/own/program", false, false),
            ("ln -s /etc/passwd $ROOT/own/link", false, false),
            ("mkfifo $ROOT/own/pipe", false, false),
            ("cat $ROOT/other/file", false, false),
            ("ls $ROOT/other", false, false),
            ("echo x > $ROOT/other/file", false, false),
            ("cat /etc/passwd", false, false),
            ("cat /proc/self/environ", false, false),
            ("echo x > /dev/shm/gitgrit-confined", false, false),
            ("kill -0 $PPID", false, false),
        ] {
            assert!(ground.can(None, script), "without walls: {script}");
            std::fs::remove_file(ground.path("own/link")).ok();
            std::fs::remove_file(ground.path("own/pipe")).ok();
            std::fs::remove_file(ground.path("own/program")).ok();
            std::fs::remove_file("/dev/shm/gitgrit-confined").ok();
            assert_eq!(ground.can(reader(), script), may_read, "reading: {script}");
            assert_eq!(ground.can(writer(), script), may_write, "writing: {script}");
        }
    }

    #[test]
    fn a_child_reaches_no_network_and_no_other_namespace() {
        let ground = Ground::new();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let connect = format!("exec 3<>/dev/tcp/127.0.0.1/{}", listener.local_addr().unwrap().port());
        let udp = "exec 3<>/dev/udp/127.0.0.1/9";
        // Within this host as well, as to an engine's socket.
        let unix = "perl -e 'socket(my $end, 1, 1, 0) or exit 1'";
        for script in [connect.as_str(), udp, unix, "unshare --user true", "unshare --mount true"] {
            assert!(ground.can(None, script), "without walls: {script}");
            assert!(!ground.can(Some(Confinement::new()), script), "{script}");
        }
    }

    #[test]
    fn a_child_has_limits_and_nothing_of_them_stays_with_us() {
        let ground = Ground::new();
        let confined = || Some(Confinement::new());
        for (script, holds) in [
            ("test $(ulimit -c) = 0", true),
            ("test $(ulimit -n) = 4096", true),
            ("test $(ulimit -d) = 2097152", true),
            ("test $(ulimit -t) = 7200", true),
            ("test $(nice) -ge 5", true),
            ("ulimit -d unlimited", false),
        ] {
            // The limits are set just behind the start; the shell's own start takes longer.
            assert_eq!(ground.can(confined(), &format!("sleep 0.1; {script}")), holds, "{script}");
        }
        assert!(std::fs::read_to_string("/etc/passwd").is_ok());
        assert!(std::net::UdpSocket::bind("127.0.0.1:0").is_ok());
    }

    /// As in a container whose engine does not let Landlock through, or on an older kernel: the other wall stands, the
    /// child runs, and nobody is told that files are walled off.
    #[test]
    fn a_kernel_without_landlock_is_told_of_and_used_as_far_as_it_goes() {
        let ground = Ground::new();
        let without = std::thread::spawn(move || {
            let calls = [libc::SYS_landlock_create_ruleset, libc::SYS_landlock_add_rule];
            let calls = calls.map(|call| (call, Vec::new())).into_iter().collect();
            assert!(apply(calls, libc::ENOSYS).unwrap());
            let walls = Confinement::walls().unwrap();
            let confined = || Some(Confinement::new().reading(&ground.path("own")));
            (walls, ground.can(confined(), "cat $ROOT/other/file"), ground.can(confined(), "unshare --user true"))
        });
        let (walls, reads_other, leaves) = without.join().unwrap();
        assert_eq!((walls, reads_other, leaves), (Walls { files: false, calls: true }, true, false));
    }
}
