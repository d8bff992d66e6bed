//! The engine through its public door: real components, real files, every limit from both sides.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "the helpers of tests stop at the first surprise, and make and damage folders of their own"
)]

#[path = "engine/apply.rs"]
mod apply;
#[path = "engine/apply_folders.rs"]
mod apply_folders;
#[path = "engine/cache.rs"]
mod cache;
#[path = "engine/calls.rs"]
mod calls;
#[path = "engine/endings.rs"]
mod endings;
#[path = "engine/evil_helpers.rs"]
mod evil_helpers;
#[path = "engine/evil_workers.rs"]
mod evil_workers;
#[path = "engine/files.rs"]
mod files;
#[path = "engine/fixture.rs"]
mod fixture;
#[path = "engine/folding.rs"]
mod folding;
#[path = "engine/http.rs"]
mod http;
#[path = "engine/http_servers.rs"]
mod http_servers;
#[path = "engine/http_tls.rs"]
mod http_tls;
#[path = "engine/leak.rs"]
mod leak;
#[path = "engine/limits.rs"]
mod limits;
#[path = "engine/live.rs"]
mod live;
#[path = "engine/peaks.rs"]
mod peaks;
#[path = "engine/reserved.rs"]
mod reserved;
#[path = "engine/wasi.rs"]
mod wasi;
