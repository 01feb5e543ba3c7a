//! Pushes, our own receive-pack: no hook runs, and no ref moves before whoever drives this says so.
//!
//! The order is: [`advertise`], [`Request::read`], [`Reply::new`], [`Quarantine::take_in`], judge (with
//! [`Request::refuse`]), [`Quarantine::migrate`], [`move_refs`], [`Reply::finish`].

mod admission;
mod advertisement;
mod inspect;
mod quarantine;
mod refs;
mod reply;
mod request;
#[cfg(test)]
mod tests;

pub use admission::{Limits, Source};
pub use advertisement::advertise;
pub use inspect::{Signable, Signed};
pub(crate) use quarantine::INCOMING;
pub use quarantine::Quarantine;
pub use refs::move_refs;
pub use reply::Reply;
pub use request::{RefUpdate, Request};
