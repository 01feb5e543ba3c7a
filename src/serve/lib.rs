//! The forge at its doors: pages and Git over HTTP(S), Git over SSH, health and metrics. Turns bytes into an actor and a
//! typed request, and an answer of the forge into bytes. Never imports `store` or `git`, and decides no right by itself.

mod http;
mod request;
mod state;
mod web;
