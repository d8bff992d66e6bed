//! Spends what it is told to: one operation for each limit of the host.

use std::hint::black_box;

use bindings::wasi::cli::{stderr, stdout};
use bindings::wasi::clocks::monotonic_clock;
use bindings::wasi::io::streams::OutputStream;
use bindings::wasi::random::random as baseline_random;
use capstan_sdk::{artifacts, clock, log, random};
use exports::test::limits::{host, spend};

capstan_sdk::pack!(Spender);

/// What the WASI stream takes in one blocking write.
const STREAM_WRITE_MAX: u64 = 4_096;

/// `total` in pieces of at most `piece`.
fn pieces(total: u64, piece: u64) -> impl Iterator<Item = usize> {
    let piece = piece.max(1);
    (0..total.div_ceil(piece)).map(move |at| (total - at * piece).min(piece) as usize)
}

fn print(stream: &OutputStream, bytes: u64) -> Result<u64, String> {
    for piece in pieces(bytes, STREAM_WRITE_MAX) {
        stream.blocking_write_and_flush(&vec![b'x'; piece]).map_err(|error| error.to_string())?;
    }
    Ok(bytes)
}

#[inline(never)]
fn recurse(depth: u32) -> u32 {
    let frame = black_box([depth as u8; 256]);
    if depth == 0 { 0 } else { recurse(depth - 1) + 1 + u32::from(frame[0] != depth as u8) }
}

/// Traps when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("dropped");
    }
}

impl spend::Guest for Spender {
    fn fuel(rounds: u64) -> u64 {
        let mut done = 0;
        while black_box(done) < rounds {
            done += 1;
        }
        done
    }

    fn spin(rounds: u64) -> u64 {
        Self::fuel(rounds)
    }

    fn memory(bytes: u64) -> Result<u64, String> {
        let length = usize::try_from(bytes).map_err(|error| error.to_string())?;
        let mut block: Vec<u8> = Vec::new();
        block.try_reserve_exact(length).map_err(|error| error.to_string())?;
        block.resize(length, 1);
        Ok(black_box(block).len() as u64)
    }

    fn stack(depth: u32) -> u32 {
        recurse(depth)
    }

    fn text(bytes: u64) -> String {
        "x".repeat(bytes as usize)
    }

    fn items(count: u64) -> Vec<String> {
        vec![String::new(); count as usize]
    }

    fn stdout(bytes: u64) -> Result<u64, String> {
        print(&stdout::get_stdout(), bytes)
    }

    fn stderr(bytes: u64) -> Result<u64, String> {
        print(&stderr::get_stderr(), bytes)
    }

    fn block(milliseconds: u64) -> u64 {
        let start = monotonic_clock::now();
        monotonic_clock::subscribe_duration(milliseconds.saturating_mul(1_000_000)).block();
        monotonic_clock::now().saturating_sub(start) / 1_000_000
    }

    fn handles(count: u32) -> u32 {
        let held: Vec<_> = (0..count).map(|_| monotonic_clock::subscribe_duration(0)).collect();
        black_box(held).len() as u32
    }

    fn baseline_random(bytes: u64) -> u64 {
        baseline_random::get_random_bytes(bytes).len() as u64
    }

    fn log(lines: u64, bytes: u32) -> u64 {
        let line = "x".repeat(bytes as usize);
        for _ in 0..lines {
            log::info(&line);
        }
        lines
    }

    fn trap() {
        panic!("on purpose");
    }

    fn trap_in_drop() -> u32 {
        let _bomb = Bomb;
        black_box(7)
    }
}

impl host::Guest for Spender {
    fn store(bytes: u64, piece: u32) -> Result<u64, String> {
        for piece in pieces(bytes, piece.into()) {
            artifacts::put(&vec![b'x'; piece], "text/plain")?;
        }
        Ok(bytes)
    }

    fn fetch(piece: u32, times: u32) -> Result<u64, String> {
        let digest = artifacts::put(&vec![b'x'; piece as usize], "text/plain")?;
        let mut fetched = 0;
        for _ in 0..times {
            fetched += artifacts::get(&digest)?.len() as u64;
        }
        Ok(fetched)
    }

    fn random(bytes: u64, piece: u32) -> u64 {
        pieces(bytes, piece.into()).map(|piece| random::bytes(piece as u32).len() as u64).sum()
    }

    fn now() -> u64 {
        clock::now().as_millis() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::pieces;

    #[test]
    fn pieces_add_up() {
        assert_eq!(pieces(10, 4).collect::<Vec<_>>(), [4, 4, 2]);
        assert_eq!(pieces(8, 4).sum::<usize>(), 8);
        assert_eq!(pieces(0, 4).count(), 0);
        assert_eq!(pieces(2, 0).count(), 2);
    }
}
