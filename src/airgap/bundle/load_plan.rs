//! What has to be sent so that an engine has the images of a bundle, and what it has already. Pure: facts in, a plan out.

use std::collections::BTreeSet;

/// The most that an engine takes for itself beside the layers: names, configurations, its own bookkeeping; in bytes.
const OVERHEAD: u64 = 16 << 20;

/// A layer of an image: the digest of its tar, as in `sha256:…`, and its size in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// The digest.
    pub digest: String,
    /// The size of the tar.
    pub size: u64,
}

/// An image that the engine shall have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// What it shall be called, as in `gitgrit-app:v1`.
    pub reference: String,
    /// Its id: the digest of its configuration.
    pub id: String,
    /// Its layers, the lowest first.
    pub layers: Vec<Layer>,
}

/// An image that the engine has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Present {
    /// Its id.
    pub id: String,
    /// What it is called.
    pub tags: Vec<String>,
    /// The digests of its layers, the lowest first.
    pub layers: Vec<String>,
}

/// What an image takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// It is there under its name.
    Nothing,
    /// It is there under another name.
    Name,
    /// It is sent without the layers below, which the engine has in this order.
    Send {
        /// How many layers stay out.
        below: usize,
    },
}

/// What to do for each image, in the bundle's order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Each image with what it takes.
    pub steps: Vec<(Wanted, Action)>,
    /// Says whether images go with every layer. Such an engine has ids of its own, and only layers can be compared.
    pub sends_all: bool,
}

impl Plan {
    /// Plans for an engine that has `present`. With `sends_all`, an image that is sent goes with every layer: containerd's
    /// store wants the content also of what it has.
    pub fn new(wanted: Vec<Wanted>, present: &[Present], sends_all: bool) -> Self {
        let mut chains: BTreeSet<Vec<String>> = present.iter().map(|image| image.layers.clone()).collect();
        let mut steps = Vec::new();
        for image in wanted {
            let found = present.iter().find(|other| other.id == image.id);
            let action = match found {
                Some(found) if found.tags.contains(&image.reference) => Action::Nothing,
                Some(_) => Action::Name,
                None if sends_all => Action::Send { below: 0 },
                None => Action::Send { below: below(&image, &chains) },
            };
            chains.insert(image.layers.iter().map(|layer| layer.digest.clone()).collect());
            steps.push((image, action));
        }
        Self { steps, sends_all }
    }

    /// The bytes of layers that are sent, and of those that stay out because the engine has them.
    pub fn bytes(&self) -> (u64, u64) {
        self.steps.iter().fold((0, 0), |(sent, spared), (image, action)| {
            let all: u64 = image.layers.iter().map(|layer| layer.size).sum();
            let now = sent_of(image, *action);
            (sent + now, spared + (all - now))
        })
    }

    /// The room that the engine needs, in bytes: for every layer that is sent, and once more for the largest image, which
    /// it unpacks from a copy. Nothing when nothing is sent.
    pub fn room(&self) -> u64 {
        let (sent, _) = self.bytes();
        let largest = self.steps.iter().map(|(image, action)| sent_of(image, *action)).max().unwrap_or_default();
        if sent == 0 { 0 } else { sent + largest + OVERHEAD }
    }

    /// The room that the engine needs when all images come in one archive, in bytes: it unpacks from a copy of everything.
    pub fn room_at_once(&self) -> u64 {
        let (sent, _) = self.bytes();
        if sent == 0 { 0 } else { 2 * sent + OVERHEAD }
    }
}

fn sent_of(image: &Wanted, action: Action) -> u64 {
    match action {
        Action::Send { below } => image.layers.iter().skip(below).map(|layer| layer.size).sum(),
        Action::Nothing | Action::Name => 0,
    }
}

/// How many of the image's lowest layers lie in this order in something that the engine has: an engine knows a layer by
/// all that is under it.
fn below(image: &Wanted, chains: &BTreeSet<Vec<String>>) -> usize {
    let common = |chain: &Vec<String>| {
        chain.iter().zip(&image.layers).take_while(|(there, wanted)| **there == wanted.digest).count()
    };
    chains.iter().map(common).max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(name: &str, layers: &[&str]) -> Wanted {
        let layer = |digest: &&str| Layer { digest: (*digest).to_owned(), size: 100 };
        Wanted { reference: format!("{name}:1"), id: format!("id-{name}"), layers: layers.iter().map(layer).collect() }
    }

    fn present(name: &str, tags: &[&str], layers: &[&str]) -> Present {
        let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
        Present { id: format!("id-{name}"), tags: texts(tags), layers: texts(layers) }
    }

    fn actions(present: &[Present], sends_all: bool) -> (Vec<Action>, (u64, u64)) {
        let images = vec![wanted("a", &["l1", "l2"]), wanted("b", &["l1", "l2", "l3"]), wanted("c", &["l2", "l1"])];
        let plan = Plan::new(images, present, sends_all);
        (plan.steps.iter().map(|(_, action)| *action).collect(), plan.bytes())
    }

    #[test]
    fn an_empty_engine_gets_every_layer_once_in_each_order() {
        let send = |below| Action::Send { below };
        assert_eq!(actions(&[], false), (vec![send(0), send(2), send(0)], (500, 200)));
        assert_eq!(actions(&[], true), (vec![send(0), send(0), send(0)], (700, 0)));
    }

    #[test]
    fn what_is_there_is_not_sent() {
        let all = [
            present("a", &["a:1"], &["l1", "l2"]),
            present("b", &["other:1"], &["l1", "l2", "l3"]),
            present("c", &["x:1", "c:1"], &["l2", "l1"]),
        ];
        assert_eq!(actions(&all, false), (vec![Action::Nothing, Action::Name, Action::Nothing], (0, 700)));
    }

    /// The name may be another image's by now: it is the id that says whether the image is there.
    #[test]
    fn a_name_of_another_image_does_not_count() {
        let other = [present("x", &["a:1", "b:1", "c:1"], &["l0", "l1", "l2"])];
        assert_eq!(actions(&other, false).1, (500, 200));
    }

    #[test]
    fn a_layer_counts_only_with_all_that_is_under_it() {
        let some = [present("x", &[], &["l1"]), present("y", &[], &["l3", "l2", "l1"])];
        let send = |below| Action::Send { below };
        assert_eq!(actions(&some, false).0, [send(1), send(2), send(0)]);
    }

    #[test]
    fn the_room_is_for_what_is_sent_and_the_largest_copy() {
        let plan = Plan::new(vec![wanted("a", &["l1", "l2"]), wanted("b", &["l1", "l2", "l3"])], &[], false);
        assert_eq!(plan.room(), 300 + 200 + OVERHEAD);
        let there = [present("a", &["a:1"], &["l1", "l2"]), present("b", &[], &["l1", "l2", "l3"])];
        let plan = Plan::new(vec![wanted("a", &["l1", "l2"]), wanted("b", &["l1", "l2", "l3"])], &there, false);
        assert_eq!(plan.room(), 0);
    }
}
