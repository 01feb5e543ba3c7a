//! Every refusal of bundles: its id, what it means, why that matters, what to do. The manual's page docs/refusals.md is written from
//! this table, and `explain` prints it, so the two cannot differ. An id is never given another meaning.

/// What every id begins with.
pub const AREA: &str = "GG-BUNDLE-";

/// What is known of a refusal.
#[derive(Debug, PartialEq, Eq)]
pub struct Refusal {
    /// `GG-BUNDLE-NNN`.
    pub id: &'static str,
    /// What it means.
    pub meaning: &'static str,
    /// Why nobody should go on regardless.
    pub why: &'static str,
    /// What to do.
    pub fix: &'static str,
}

macro_rules! refusals {
    ($($id:literal, $meaning:literal, $why:literal, $fix:literal;)*) => {
        /// Every refusal, sorted by number.
        pub static REFUSALS: &[Refusal] = &[$(Refusal { id: $id, meaning: $meaning, why: $why, fix: $fix },)*];
    };
}

refusals! {
    "GG-BUNDLE-001", "a file does not read", "nothing is said of the file itself: the medium, a path or a right is at fault", "see the cause that is printed; try another drive, or copy the file again";
    "GG-BUNDLE-002", "a file does not write", "nothing is left under its own name, so nobody takes a half file for a whole one", "see the cause that is printed; where a disk is full (exit 15), make the room that the message names";
    "GG-BUNDLE-003", "the file does not begin as a bundle does", "it is something else, whatever it is called", "name the `.ggb` file";
    "GG-BUNDLE-004", "the file ends too early", "a copy was cut short, so something that was signed is missing", "copy it again, and compare its size with the source's";
    "GG-BUNDLE-005", "something is behind the bundle's end, or between its parts", "no signature covers it, and another program might read it", "copy it again from its source; of a raw device take just the file's bytes";
    "GG-BUNDLE-006", "the head is not what follows from its manifest", "stock tools would read another list of images than the one that is signed", "do not use it; ask whoever sent it";
    "GG-BUNDLE-007", "head or manifest say to be larger than any is", "a file that nobody has judged yet must not fill this host's memory", "do not use it; ask whoever sent it";
    "GG-BUNDLE-008", "the manifest does not read: it is no JSON, or has a field that is unknown or missing", "what it says cannot be judged", "do not use it; when a newer release made it, use the program that came beside it";
    "GG-BUNDLE-009", "the manifest is written in another than its one way", "two readers could take it for two things", "do not use it; ask whoever sent it";
    "GG-BUNDLE-010", "the bundle is of another format", "this program does not know what its fields mean", "use the program that came beside the bundle";
    "GG-BUNDLE-011", "a value of the manifest is none that it may have", "it is over a limit, or means different things to different programs", "do not use it; ask whoever sent it";
    "GG-BUNDLE-012", "a path that no file of a bundle may have", "unpacked, it could lie outside of its folder, or be another file elsewhere", "do not use it; ask whoever sent it";
    "GG-BUNDLE-013", "two files that cannot lie beside each other", "one would take the other's place, on some file systems without a word", "do not use it; ask whoever sent it";
    "GG-BUNDLE-014", "a file that does not belong in a bundle, or is not in its place", "every bundle has one order and one set of files, and this is not it", "do not use it; ask whoever sent it";
    "GG-BUNDLE-015", "an image whose parts do not fit together", "an engine would make another image of it than the manifest says", "do not use it; ask whoever sent it";
    "GG-BUNDLE-016", "the frames do not follow from the files", "content could hide between the files, or be unpacked to more than is signed", "do not use it; ask whoever sent it";
    "GG-BUNDLE-017", "a frame is damaged", "its bytes are not those that were signed, most often because a medium or a transfer failed", "copy it again; where only copies fail, try another medium";
    "GG-BUNDLE-018", "a frame is not one plain zstd frame of its size", "a decompressor could be made to read past it", "do not use it; ask whoever sent it";
    "GG-BUNDLE-019", "a frame does not unpack to its size", "what comes out is not what was signed", "do not use it; ask whoever sent it";
    "GG-BUNDLE-020", "the archive says something else of a file than the manifest", "stock tools would unpack another file than the one that is signed", "do not use it; ask whoever sent it";
    "GG-BUNDLE-021", "a file's content is another", "its SHA-256 is not the signed one", "do not use it; ask whoever sent it";
    "GG-BUNDLE-022", "the seek table is not that of the frames", "programs that read parts of the file would read the wrong ones", "copy it again";
    "GG-BUNDLE-023", "a signature is written in another than its one way, or is one too many", "who signed would be read differently by different programs", "do not use it; ask whoever sent it";
    "GG-BUNDLE-024", "the bundle holds no such file", "nothing is wrong with the bundle: the name that was given is none of it", "`gitgrit-ops bundle inspect` lists what it holds";
    "GG-BUNDLE-025", "packed content was changed since it was packed", "a build would sign what it did not make", "look at the disk first, which may have lost what was written; then find out who could write to the cache folder that the message names, and remove it";

    "GG-BUNDLE-101", "no key is trusted", "a signature says something only to who knows the signer's key", "name a key with --public-key or --trust; take it from the maker on another way than the bundle";
    "GG-BUNDLE-102", "too few of the trusted keys have signed", "anybody can sign with a key of his own", "compare the keys that the message names with the maker's; have the missing ones sign with `bundle sign`";
    "GG-BUNDLE-103", "a signature of a trusted key does not hold", "the manifest was changed after it was signed", "do not use it; ask whoever sent it";
    "GG-BUNDLE-104", "there are more than 16 signatures", "nobody makes so many, and each costs time to judge", "do not use it; ask whoever sent it";
    "GG-BUNDLE-105", "the bundle is older than one that was taken before", "an old bundle is signed well, and brings back faults that were mended since", "take the newest bundle; to go back on purpose, use --allow-older";
    "GG-BUNDLE-106", "the signed manifest has no sequence", "nobody can say whether it is older than what runs here", "do not use it; ask whoever sent it";
    "GG-BUNDLE-107", "the trusted keys do not read", "whom to trust is not guessed", "mend the file or the key that the message names";
    "GG-BUNDLE-108", "a new trust file is not the old one's successor", "whoever replaces the trusted keys must be one of those that were trusted", "have it signed with the old keys, or compare the new keys with the maker's by hand, and put the file in place yourself";
    "GG-BUNDLE-109", "what lies where a signature belongs is none", "nothing can be said of who signed", "copy the bundle again; if that does not help, do not use it";

    "GG-BUNDLE-120", "the file is unsigned, and `--unsigned` was not given", "nobody can say who made it, or whether it was changed on its way", "take the signed bundle (`.ggb`); or compare the file's SHA-256 with its maker's, then use --unsigned";
    "GG-BUNDLE-121", "the archive has something that no installer has", "an engine could read it in another way than it was looked at", "do not use it; ask whoever sent it";
    "GG-BUNDLE-122", "the file unpacks to more than a hundred times its size and a GiB", "it is made to fill a disk or to keep this host busy", "do not use it; ask whoever sent it";
    "GG-BUNDLE-123", "an image in the archive is not whole, or not itself", "the engine would take images that nobody has looked at", "copy it again; if that does not help, do not use it";
    "GG-BUNDLE-124", "the engine has another image than the file", "what would run is not what was looked at", "run it again; if it comes back, somebody else changes the engine's images";
    "GG-BUNDLE-125", "the engine has not enough room", "a load that breaks off half-way leaves layers behind", "free the bytes that the message names where the engine keeps its data, then run it again";
    "GG-BUNDLE-126", "an engine that keeps images in containerd would read a list of images that was not checked", "that list may name other images than the one that was", "take the signed bundle (`.ggb`), or an installer that `bundle tgz` wrote";

    "GG-BUNDLE-140", "a file is no whole part of a bundle", "it is another file, has a header in another form, or is too short or too long", "copy it again";
    "GG-BUNDLE-141", "no part lies in the folder", "nothing was read", "name the folder with the parts, or one of them";
    "GG-BUNDLE-142", "parts are missing", "without them the bundle cannot be made, also not out of the parity", "copy those that the message names again";
    "GG-BUNDLE-143", "parts are damaged, and cannot be made again", "more was lost than the parity gives back", "copy those that the message names again";
    "GG-BUNDLE-144", "parts of two bundles lie beside each other", "which one is meant is not guessed", "remove those that you do not mean, or name the first part of the other";
    "GG-BUNDLE-145", "the same part is there twice", "which one is right is not guessed", "remove one";
    "GG-BUNDLE-146", "the parts fit together, and make another bundle than they say", "somebody put them together, and not `bundle split`", "do not use them; ask whoever sent them";
    "GG-BUNDLE-147", "parts of that size cannot be", "they would be too many, or have no room for their own headers", "name another `--size`";
    "GG-BUNDLE-148", "a part of an earlier split is in the way", "it would be taken for one of this split", "remove it, or take another folder";
    "GG-BUNDLE-149", "the bundle gave other bytes when it was split than when it was verified", "its medium fails, or somebody changed it meanwhile", "copy the bundle to another medium, then split it again";
    "GG-BUNDLE-150", "the file does not begin as a delta does", "it is something else, whatever it is called", "name the `.ggd` file";
    "GG-BUNDLE-151", "the delta is longer or shorter than its steps say", "it was not made by `bundle delta`, or not by a whole one", "do not use it; have it made again";
    "GG-BUNDLE-152", "the delta is damaged", "its bytes are not those that were written, most often because a medium or a transfer failed", "copy it again";
    "GG-BUNDLE-153", "the delta's list of steps is not one", "it could make this host unpack what no bundle holds", "do not use it; ask whoever sent it";
    "GG-BUNDLE-154", "the delta needs another base bundle, or none was named", "a delta holds only what its base lacks", "name the bundle that the message names; `gitgrit-ops bundle inventory` says which this site has";
    "GG-BUNDLE-155", "the base has no such frame", "the delta was not made from the base that it names", "do not use it; ask whoever sent it";
    "GG-BUNDLE-156", "a patch is against bytes that are not there", "the delta was not made from the base that it names", "do not use it; ask whoever sent it";
    "GG-BUNDLE-157", "a patch does not unpack", "the delta was not made by `bundle delta`", "do not use it; ask whoever sent it";
    "GG-BUNDLE-158", "what the delta makes is not what is signed", "the result would be another bundle than its maker signed", "do not use it; ask whoever sent it";
    "GG-BUNDLE-159", "the frames were packed with another zstd library", "the same bytes cannot be made again here", "use the new release's program, carried beside the delta";
    "GG-BUNDLE-160", "no delta leads from the one bundle to the other", "they are the same, or for two processors", "carry the whole bundle";
    "GG-BUNDLE-161", "the inventory does not read", "what the site has is not guessed", "make it anew with `gitgrit-ops bundle inventory`";
    "GG-BUNDLE-162", "the base is damaged", "what is built on it would not be what is signed", "verify it, and copy it again";

    "GG-BUNDLE-170", "the engine ran out of room", "half of the images would be there: what this run brought is removed again, as far as it has no name", "make the room that the message names where the engine keeps its data, then run it again";
    "GG-BUNDLE-171", "the engine refused, for the reason that it gives", "images that it does not take do not start", "see the engine's own words, and its log";
    "GG-BUNDLE-172", "another bundle with the same sequence was loaded before", "one number stands for one release: one of the two is not what it says", "ask the maker which one is right; to load it all the same, use --allow-older";
    "GG-BUNDLE-173", "not enough room where a folder or an archive is written", "nothing was written", "make the room that the message names, or name another place";
    "GG-BUNDLE-174", "what is to be written is there already", "it is not written over: it may be all that somebody has", "remove it, or name another place";
    "GG-BUNDLE-175", "that is not a registry's address", "images would go nowhere, or elsewhere", "write it like https://registry.site:5000/team";
    "GG-BUNDLE-176", "the registry does not answer, or its certificate does not verify", "images go to no registry that is not the one that is meant", "check name, port and network; name its authority with --ca";
    "GG-BUNDLE-177", "the registry does not know this user, or he may not write", "nothing was given a name there", "check --registry-user and the password, and the user's rights in the registry";
    "GG-BUNDLE-178", "the registry refused, for the reason that it gives", "images that it does not take cannot be pulled", "see the registry's own words, and its log";
    "GG-BUNDLE-179", "the registry answers against the protocol, or sends us elsewhere", "images and passwords go nowhere but to the registry that was named", "name the registry itself, without a proxy that rewrites its answers";
    "GG-BUNDLE-180", "that is not a host's name", "it could be taken for an option of `ssh`", "write it like user@host or host:2222";
    "GG-BUNDLE-181", "`ssh` did not get through, or the host cannot do what is asked", "nothing is known of that host's engine; the others were not held up", "try `ssh HOST true`; see the words that are printed";
    "GG-BUNDLE-182", "the host has no room for the files", "a copy that is cut short is of no use", "make the room that the message names there";
    "GG-BUNDLE-183", "what arrived on the host is not what was sent", "a program that starts there would not be the one that is signed", "run it again; if it comes back, the host or the way to it changes files";
    "GG-BUNDLE-184", "the host's own load failed", "its engine may lack images; its exit code and words are given", "see what they say, then run it again for this host";
    "GG-BUNDLE-185", "a file of this host does not read, or `ssh` does not start", "no host was asked", "see the cause that is printed";
    "GG-BUNDLE-186", "two images of the bundle would have one name in a registry", "one would take the other's place", "take an address with a folder of its own, or have the bundle built with other names";
    "GG-BUNDLE-187", "the host has another processor than the bundle is for", "its programs would not start there", "push the bundle for that processor";
    "GG-BUNDLE-188", "the registry wants the password to go to a token service that nobody named", "a password goes nowhere but where its owner says", "see the address in the message; name the service with --registry-realm when it is the registry's own";
    "GG-BUNDLE-189", "the registry has another image than the one that was sent", "what is pulled there would not be what is signed", "run it again; if it comes back, somebody else writes to that repository";
    "GG-BUNDLE-201", "not enough room for the engine", "a load that breaks off half-way leaves layers behind, so nothing was sent", "free the bytes that the message names where the engine keeps its data, then run it again";
    "GG-BUNDLE-202", "the bundle is for another processor than the engine's", "its programs would not start there", "take the bundle for this machine's processor";
    "GG-BUNDLE-203", "the engine has another image than the bundle", "what would run is not what was signed", "run it again; if it comes back, somebody else changes the engine's images";
}

/// The refusal of this id, in whatever case it is written.
pub fn find(id: &str) -> Option<&'static Refusal> {
    REFUSALS.iter().find(|refusal| refusal.id.eq_ignore_ascii_case(id.trim()))
}

impl Refusal {
    /// The manual's page, below docs/.
    pub fn doc(&self) -> String {
        format!("refusals.md#{}", self.id.to_ascii_lowercase())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fmt::Write;
    use std::path::Path;

    use super::*;

    const HEAD: &str = "# Refusals of bundles\n\nWhat each `GG-BUNDLE-…` of an error means, why it matters, and what to do. `gitgrit-ops explain GG-BUNDLE-017` prints the same\n\
                        without a network. Most end with exit code 13 ([exit codes](exit-codes.md)).\n\n\
                        <!-- written by the tests: GITGRIT_BLESS=1 cargo test -p airgap refusals -->\n";

    /// The ids in what is written in `folder`, but for this table.
    fn used(folder: &Path, ids: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                used(&path, ids);
            } else if path.extension().is_some_and(|kind| kind == "rs") && !path.ends_with("bundle/refusals.rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                let numbers = text.split(AREA).skip(1).filter_map(|rest| rest.get(..3));
                let numbers = numbers.filter(|number| number.bytes().all(|digit| digit.is_ascii_digit()));
                ids.extend(numbers.map(|number| format!("{AREA}{number}")));
            }
        }
    }

    #[test]
    fn every_refusal_of_the_source_is_in_the_table_and_no_other() {
        let listed: Vec<String> = REFUSALS.iter().map(|refusal| refusal.id.to_owned()).collect();
        assert!(listed.is_sorted() && listed.windows(2).all(|pair| pair[0] != pair[1]), "{listed:?}");
        let mut found = BTreeSet::new();
        used(&Path::new(env!("CARGO_MANIFEST_DIR")).join(".."), &mut found);
        assert!(found.len() > 80, "{found:?}");
        assert_eq!(found, listed.into_iter().collect());
        let is_said = |refusal: &Refusal| ![refusal.meaning, refusal.why, refusal.fix].contains(&"");
        assert!(REFUSALS.iter().all(is_said));
    }

    #[test]
    fn the_manual_lists_every_refusal() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/refusals.md");
        let mut expected = HEAD.to_owned();
        for Refusal { id, meaning, why, fix } in REFUSALS {
            write!(expected, "\n### {id}\n\n{}: {why}.\nFix: {fix}.\n", upper(meaning)).unwrap();
        }
        if std::env::var_os("GITGRIT_BLESS").is_some() {
            base::file::write_atomic(&path, expected.as_bytes(), 0o644).unwrap();
            return;
        }
        let written = std::fs::read_to_string(&path).unwrap();
        assert!(written == expected, "docs/refusals.md lags behind: run GITGRIT_BLESS=1 cargo test -p airgap refusals");
    }

    fn upper(text: &str) -> String {
        let mut letters = text.chars();
        letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
    }
}
