//! The container engine behind its socket: images asked for, saved, loaded, tagged and removed. A synchronous face; the runtime
//! behind it is this room's own. Starts no container, and judges nothing that it carries.

pub mod engine;
pub mod error;
mod passage;
pub mod reference;

pub use engine::{Engine, Image, Store};
pub use error::EngineError;
pub use passage::Archive;
pub use reference::Reference;
