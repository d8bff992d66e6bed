//! The table of everything that a component may import, and how each import is linked.

use std::collections::BTreeSet;

use base::Capability;
use wasmtime::component::{Component, HasData, HasSelf, InstancePre, Linker, ResourceTable};
use wasmtime_wasi::cli::{WasiCli, WasiCliView as _};
use wasmtime_wasi::filesystem::{WasiFilesystem, WasiFilesystemView as _};
use wasmtime_wasi::p2::bindings::{cli, clocks, filesystem, random as wasi_random, sockets, sync};
use wasmtime_wasi::sockets::{WasiSockets, WasiSocketsView as _};

use crate::baseline::{Baseline, StoreData};
use crate::bindings::{
    artifacts, clock, exec, files_read, files_write, http_read, http_send, log, model, random, types,
};
use crate::capability::{HasInert, inert};
use crate::guest::Guest;

type Me = HasSelf<Guest>;

/// Says to wasmtime how to get a [`Baseline`] from a store's data.
struct HasBaseline;

impl HasData for HasBaseline {
    type Data<'a> = Baseline<'a>;
}

/// The capabilities that are live in one linked program.
pub(crate) type LiveSet = BTreeSet<Capability>;

/// An import without its version, e.g. `capstan:host/files-read`.
pub(crate) fn unversioned(name: &str) -> &str {
    name.split_once('@').map_or(name, |(name, _)| name)
}

/// The capability that an import stands for, if it is one of `capstan:host`'s.
pub(crate) fn capability_of(import: &str) -> Option<Capability> {
    unversioned(import).strip_prefix("capstan:host/")?.parse().ok()
}

pub(crate) fn is_wasi(import: &str) -> bool {
    import.starts_with("wasi:")
}

/// Links `component`: exactly its imports, each live only if it is in `live`.
///
/// # Errors
/// The import's name, or wasmtime's text, if this host does not have what the component wants.
pub(crate) fn link(
    component: &Component,
    imports: &[String],
    live: &LiveSet,
) -> Result<InstancePre<Guest>, String> {
    assemble(component, imports, |linker, capability| {
        link_capability(linker, capability, live.contains(&capability))
    })
}

/// Links exactly the imports, host interfaces by `link_capability`.
pub(crate) fn assemble<T: StoreData>(
    component: &Component,
    imports: &[String],
    link_capability: impl Fn(&mut Linker<T>, Capability) -> Option<wasmtime::Result<()>>,
) -> Result<InstancePre<T>, String> {
    let mut linker = Linker::new(component.engine());
    for import in imports {
        let known = match capability_of(import) {
            Some(capability) => link_capability(&mut linker, capability),
            None => link_baseline(&mut linker, unversioned(import)),
        };
        known.ok_or_else(|| format!("the host has no `{import}`"))?.map_err(|error| format!("{error:#}"))?;
    }
    linker.instantiate_pre(component).map_err(|error| format!("{error:#}"))
}

/// The one place where a host interface becomes live.
fn link_capability(
    l: &mut Linker<Guest>,
    capability: Capability,
    live: bool,
) -> Option<wasmtime::Result<()>> {
    Some(match (capability, live) {
        (Capability::FilesRead, true) => files_read::add_to_linker::<_, Me>(l, |g| g),
        (Capability::FilesRead, false) => files_read::add_to_linker::<_, HasInert>(l, inert),
        (Capability::FilesWrite, true) => files_write::add_to_linker::<_, Me>(l, |g| g),
        (Capability::FilesWrite, false) => files_write::add_to_linker::<_, HasInert>(l, inert),
        (Capability::HttpRead, true) => http_read::add_to_linker::<_, Me>(l, |g| g),
        (Capability::HttpRead, false) => http_read::add_to_linker::<_, HasInert>(l, inert),
        (Capability::HttpSend, true) => http_send::add_to_linker::<_, Me>(l, |g| g),
        (Capability::HttpSend, false) => http_send::add_to_linker::<_, HasInert>(l, inert),
        (Capability::Exec, true) => exec::add_to_linker::<_, Me>(l, |g| g),
        (Capability::Exec, false) => exec::add_to_linker::<_, HasInert>(l, inert),
        (Capability::Artifacts, true) => artifacts::add_to_linker::<_, Me>(l, |g| g),
        (Capability::Artifacts, false) => artifacts::add_to_linker::<_, HasInert>(l, inert),
        (Capability::Model, true) => model::add_to_linker::<_, Me>(l, |g| g),
        (Capability::Model, false) => model::add_to_linker::<_, HasInert>(l, inert),
        (Capability::Clock, true) => clock::add_to_linker::<_, Me>(l, |g| g),
        (Capability::Clock, false) => clock::add_to_linker::<_, HasInert>(l, inert),
        (Capability::Random, true) => random::add_to_linker::<_, Me>(l, |g| g),
        (Capability::Random, false) => random::add_to_linker::<_, HasInert>(l, inert),
        // It has no interface: the host fills in what it knows.
        (Capability::Secrets, _) => return None,
        // Permitted in every effect, without request and grant.
        (Capability::Log, _) => log::add_to_linker::<_, Me>(l, |g| g),
    })
}

/// What needs no grant because it reaches nothing.
fn link_baseline<T: StoreData>(l: &mut Linker<T>, name: &str) -> Option<wasmtime::Result<()>> {
    if let Some(interface) = name.strip_prefix("wasi:sockets/") {
        return link_sockets(l, interface);
    }
    Some(match name {
        "capstan:host/types" => types::add_to_linker::<_, HasBaseline>(l, T::baseline),
        "wasi:cli/environment" => cli::environment::add_to_linker::<_, WasiCli>(l, T::cli),
        "wasi:cli/exit" => cli::exit::add_to_linker::<_, WasiCli>(l, T::cli),
        "wasi:cli/stdin" => cli::stdin::add_to_linker::<_, WasiCli>(l, T::cli),
        "wasi:cli/stdout" => cli::stdout::add_to_linker::<_, WasiCli>(l, T::cli),
        "wasi:cli/stderr" => cli::stderr::add_to_linker::<_, WasiCli>(l, T::cli),
        "wasi:cli/terminal-input" => cli::terminal_input::add_to_linker::<_, WasiCli>(l, T::cli),
        "wasi:cli/terminal-output" => cli::terminal_output::add_to_linker::<_, WasiCli>(l, T::cli),
        "wasi:cli/terminal-stdin" => cli::terminal_stdin::add_to_linker::<_, WasiCli>(l, T::cli),
        "wasi:cli/terminal-stdout" => cli::terminal_stdout::add_to_linker::<_, WasiCli>(l, T::cli),
        "wasi:cli/terminal-stderr" => cli::terminal_stderr::add_to_linker::<_, WasiCli>(l, T::cli),
        "wasi:clocks/monotonic-clock" => {
            clocks::monotonic_clock::add_to_linker::<_, HasBaseline>(l, T::baseline)
        }
        "wasi:clocks/wall-clock" => clocks::wall_clock::add_to_linker::<_, HasBaseline>(l, T::baseline),
        "wasi:filesystem/preopens" => {
            filesystem::preopens::add_to_linker::<_, WasiFilesystem>(l, T::filesystem)
        }
        "wasi:filesystem/types" => {
            sync::filesystem::types::add_to_linker::<_, WasiFilesystem>(l, T::filesystem)
        }
        "wasi:io/error" => sync::io::error::add_to_linker::<_, HasSelf<ResourceTable>>(l, |g| {
            &mut g.baseline().into_wasi().table
        }),
        "wasi:io/poll" => sync::io::poll::add_to_linker::<_, HasBaseline>(l, T::baseline),
        "wasi:io/streams" => sync::io::streams::add_to_linker::<_, HasBaseline>(l, T::baseline),
        "wasi:random/random" => wasi_random::random::add_to_linker::<_, HasBaseline>(l, T::baseline),
        "wasi:random/insecure" => wasi_random::insecure::add_to_linker::<_, HasBaseline>(l, T::baseline),
        "wasi:random/insecure-seed" => {
            wasi_random::insecure_seed::add_to_linker::<_, HasBaseline>(l, T::baseline)
        }
        _ => return None,
    })
}

/// Sockets that can be asked for and never had: no protocol, address or name is allowed.
fn link_sockets<T: StoreData>(l: &mut Linker<T>, interface: &str) -> Option<wasmtime::Result<()>> {
    Some(match interface {
        "instance-network" => sockets::instance_network::add_to_linker::<_, WasiSockets>(l, T::sockets),
        "ip-name-lookup" => sockets::ip_name_lookup::add_to_linker::<_, WasiSockets>(l, T::sockets),
        "network" => {
            let options = sockets::network::LinkOptions::default();
            sockets::network::add_to_linker::<_, WasiSockets>(l, &options, T::sockets)
        }
        "tcp" => sync::sockets::tcp::add_to_linker::<_, WasiSockets>(l, T::sockets),
        "tcp-create-socket" => sockets::tcp_create_socket::add_to_linker::<_, WasiSockets>(l, T::sockets),
        "udp" => sync::sockets::udp::add_to_linker::<_, WasiSockets>(l, T::sockets),
        "udp-create-socket" => {
            sync::sockets::udp_create_socket::add_to_linker::<_, WasiSockets>(l, T::sockets)
        }
        _ => return None,
    })
}
