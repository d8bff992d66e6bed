//! Rust types and traits generated from `wit/host`, which is the contract with guests.

wasmtime::component::bindgen!({
    path: "../../../wit/host",
    world: "capstan:host/imports",
    imports: { default: trappable },
    // Answers of host calls are kept on tapes.
    additional_derives: [serde::Serialize, serde::Deserialize],
});

pub(crate) use capstan::host::{
    artifacts, clock, exec, files_read, files_write, http_read, http_send, log, model, random, types,
};
