//! Work that a page waits for but that must not hold up the server: highlighting and Markdown, on blocking threads, a
//! few at a time, with a deadline, and kept by object id. A failure or a late answer gives plain text, never an error.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base::name::Oid;
use tokio::sync::Semaphore;

use crate::highlight::{Highlighter, plain_lines};
use crate::markdown::{self, Place};

/// How many texts are rendered at once.
const SLOTS: usize = 2;

/// How long a page waits for a text. Rendering that takes longer ends in the cache, for the next visitor.
const BUDGET: Duration = Duration::from_millis(1_500);

/// Bytes of rendered HTML that are kept.
const KEPT: usize = 12 << 20;

/// Renders and remembers. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Renderer {
    highlighter: Arc<Highlighter>,
    cache: Arc<Mutex<Cache>>,
    slots: Arc<Semaphore>,
}

impl Renderer {
    /// A renderer that remembers nothing yet; grammars are loaded with the first text.
    pub(crate) fn new() -> Self {
        Self {
            highlighter: Arc::new(Highlighter::default()),
            cache: Arc::new(Mutex::new(Cache::new(KEPT))),
            slots: Arc::new(Semaphore::new(SLOTS)),
        }
    }

    /// The lines of a file as list items; `name` tells the grammar.
    pub(crate) async fn lines(&self, id: &Oid, text: String, name: String) -> Arc<str> {
        let ending = name.rsplit('.').next().unwrap_or_default().to_owned();
        let highlighter = Arc::clone(&self.highlighter);
        let plain = text.clone();
        let work = move || highlighter.lines(&text, &name);
        match self.kept(lines_key(id, &ending), work).await {
            Some(html) => html,
            None => plain_lines(&plain).into(),
        }
    }

    /// Markdown as sanitised HTML; `None` when it is too large or took too long.
    pub(crate) async fn prose(&self, id: &Oid, text: String, place: Place) -> Option<Arc<str>> {
        if text.len() > markdown::LIMIT {
            return None;
        }
        let highlighter = Arc::clone(&self.highlighter);
        let key = prose_key(id, &place);
        let work = move || markdown::render(&text, &place, &highlighter).unwrap_or_default();
        self.kept(key, work).await.filter(|html| !html.is_empty())
    }

    /// Markdown that has no blob and is not kept; `None` when it took too long or is nested as no author nests.
    pub(crate) async fn passing(&self, text: String, place: Place) -> Option<Arc<str>> {
        let (highlighter, slots) = (Arc::clone(&self.highlighter), Arc::clone(&self.slots));
        let rendered = async {
            let slot = slots.acquire_owned().await.ok()?;
            let task = tokio::task::spawn_blocking(move || {
                let _held_until_done = slot;
                markdown::render(&text, &place, &highlighter)
            });
            task.await.ok().flatten().map(Arc::from)
        };
        tokio::time::timeout(BUDGET, rendered).await.ok().flatten()
    }

    /// Says whether the lines of this file are ready, so that the page that was made of them is no stopgap.
    pub(crate) fn has_lines(&self, id: &Oid, name: &str) -> bool {
        self.has(&lines_key(id, name.rsplit('.').next().unwrap_or_default()))
    }

    /// The same for a text.
    pub(crate) fn has_prose(&self, id: &Oid, place: &Place) -> bool {
        self.has(&prose_key(id, place))
    }

    fn has(&self, key: &str) -> bool {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner).entries.contains_key(key)
    }

    async fn kept(&self, key: String, work: impl FnOnce() -> String + Send + 'static) -> Option<Arc<str>> {
        let known = self.cache.lock().unwrap_or_else(PoisonError::into_inner).get(&key);
        if known.is_some() {
            return known;
        }
        let (cache, slots) = (Arc::clone(&self.cache), Arc::clone(&self.slots));
        let rendered = async {
            let slot = slots.acquire_owned().await.ok()?;
            let task = tokio::task::spawn_blocking(move || {
                let _held_until_done = slot;
                let html: Arc<str> = work().into();
                cache.lock().unwrap_or_else(PoisonError::into_inner).put(key, Arc::clone(&html));
                html
            });
            task.await.inspect_err(|error| tracing::warn!(%error, "rendering failed; the page shows plain text")).ok()
        };
        tokio::time::timeout(BUDGET, rendered).await.ok().flatten()
    }
}

fn lines_key(id: &Oid, ending: &str) -> String {
    format!("lines {id} {ending}")
}

fn prose_key(id: &Oid, place: &Place) -> String {
    format!("prose {id} {} {}", place.pages, place.directory)
}

/// The least recently used go first once `limit` bytes are exceeded.
struct Cache {
    limit: usize,
    size: usize,
    clock: u64,
    entries: HashMap<String, (u64, Arc<str>)>,
    order: BTreeMap<u64, String>,
}

impl Cache {
    fn new(limit: usize) -> Self {
        Self { limit, size: 0, clock: 0, entries: HashMap::new(), order: BTreeMap::new() }
    }

    fn get(&mut self, key: &str) -> Option<Arc<str>> {
        let (used, html) = self.entries.get_mut(key)?;
        self.clock += 1;
        self.order.remove(used);
        self.order.insert(self.clock, key.to_owned());
        *used = self.clock;
        Some(Arc::clone(html))
    }

    fn put(&mut self, key: String, html: Arc<str>) {
        self.remove(&key);
        self.clock += 1;
        self.size += key.len() + html.len();
        self.order.insert(self.clock, key.clone());
        self.entries.insert(key, (self.clock, html));
        while self.size > self.limit {
            let Some((_, oldest)) = self.order.first_key_value() else { break };
            let oldest = oldest.clone();
            self.remove(&oldest);
        }
    }

    fn remove(&mut self, key: &str) {
        if let Some((used, html)) = self.entries.remove(key) {
            self.order.remove(&used);
            self.size -= key.len() + html.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_recently_used_text_is_dropped_first() {
        let mut cache = Cache::new(25);
        for key in ["a", "b"] {
            cache.put(key.into(), "0123456789".into());
        }
        assert!(cache.get("a").is_some());
        cache.put("c".into(), "0123456789".into());
        assert!(cache.get("b").is_none());
        assert!(cache.get("a").is_some() && cache.get("c").is_some());
        cache.put("d".into(), "x".repeat(100).into());
        assert_eq!((cache.size, cache.entries.len(), cache.order.len()), (0, 0, 0));
    }

    #[tokio::test]
    async fn a_panic_while_rendering_gives_plain_text() {
        let renderer = Renderer::new();
        assert!(renderer.kept("key".into(), || panic!("grammar")).await.is_none());
        assert!(renderer.kept("key".into(), || "fine".into()).await.is_some());
    }
}
