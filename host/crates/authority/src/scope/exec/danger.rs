//! Arguments and variables through which a program runs others.
//!
//! This is not the wall: whatever a program starts is confined as it is. It keeps a grant from
//! saying more than its reader sees: who grants `find` has not granted what `-exec` names.

use super::word::Word;

/// Programs whose arguments are themselves programs, or names of some: interpreters and launchers.
/// A version behind the name does not matter.
const INTERPRETERS: &[&str] = &[
    "ash",
    "awk",
    "bash",
    "batch",
    "bun",
    "busybox",
    "chroot",
    "cmake",
    "csh",
    "dash",
    "deno",
    "doas",
    "ed",
    "emacs",
    "env",
    "ex",
    "expect",
    "fish",
    "flock",
    "gawk",
    "gdb",
    "guile",
    "ionice",
    "java",
    "julia",
    "ksh",
    "lldb",
    "lua",
    "luajit",
    "m4",
    "make",
    "mawk",
    "nawk",
    "nice",
    "ninja",
    "node",
    "nodejs",
    "nohup",
    "nsenter",
    "nvim",
    "octave",
    "osascript",
    "parallel",
    "perl",
    "perf",
    "php",
    "pkexec",
    "prlimit",
    "python",
    "pypy",
    "rbash",
    "rksh",
    "Rscript",
    "rscript",
    "ruby",
    "runuser",
    "scp",
    "screen",
    "script",
    "sed",
    "setpriv",
    "setsid",
    "sftp",
    "sh",
    "socat",
    "sqlite",
    "ssh",
    "stdbuf",
    "strace",
    "ltrace",
    "su",
    "sudo",
    "systemd-run",
    "taskset",
    "tclsh",
    "tcsh",
    "time",
    "timeout",
    "tmux",
    "toybox",
    "unshare",
    "valgrind",
    "vi",
    "view",
    "vim",
    "watch",
    "wish",
    "xargs",
    "zsh",
];

/// Programs whose first argument is a command of theirs, or a bundle of flags without a dash.
const FIRST_IS_COMMAND: &[&str] = &[
    "ar",
    "apt",
    "apt-get",
    "cargo",
    "docker",
    "gh",
    "git",
    "go",
    "hg",
    "jj",
    "kubectl",
    "npm",
    "openssl",
    "podman",
    "svn",
    "systemctl",
    "tar",
    "bsdtar",
    "uv",
];

/// How far what a flag runs reaches.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// Its value: behind `=`, behind the letter, or the next word.
    Value,
    /// Every later word.
    Rest,
}

/// Flags whose value is run, or decides what is run.
const FLAGS: &[(&str, Reach, &[&str])] = &[
    ("find", Reach::Rest, &["-exec", "-execdir", "-ok", "-okdir"]),
    ("fd", Reach::Rest, &["-x", "-X", "--exec", "--exec-batch"]),
    (
        "git",
        Reach::Value,
        &[
            "-c",
            "-O",
            "-u",
            "-x",
            "--config",
            "--config-env",
            "--exec",
            "--exec-path",
            "--ext-diff",
            "--extcmd",
            "--open-files-in-pager",
            "--receive-pack",
            "--template",
            "--tool",
            "--upload-pack",
        ],
    ),
    (
        "tar",
        Reach::Value,
        &[
            "-F",
            "-I",
            "--checkpoint-action",
            "--info-script",
            "--new-volume-script",
            "--rmt-command",
            "--rsh-command",
            "--to-command",
            "--use-compress-program",
        ],
    ),
    ("bsdtar", Reach::Value, &["--use-compress-program"]),
    ("rsync", Reach::Value, &["-e", "--rsh", "--rsync-path"]),
    ("sort", Reach::Value, &["--compress-program"]),
    ("split", Reach::Value, &["--filter"]),
    ("zip", Reach::Value, &["-T", "-TT", "--unzip-command"]),
    ("man", Reach::Value, &["-H", "-P", "--html", "--pager", "--preprocessor"]),
    ("less", Reach::Value, &["-k", "-o", "-O", "--lesskey-file", "--lesskey-src"]),
    ("rg", Reach::Value, &["--hostname-bin", "--pre"]),
    ("curl", Reach::Value, &["-K", "--config"]),
    ("wget", Reach::Value, &["-e", "--execute", "--use-askpass"]),
    ("tcpdump", Reach::Value, &["-z"]),
    ("cargo", Reach::Value, &["-Z", "--config"]),
    ("go", Reach::Value, &["-exec", "-toolexec", "-vettool"]),
    ("gcc", Reach::Value, &["-B", "-specs", "-wrapper", "-fplugin"]),
    ("cc", Reach::Value, &["-B", "-specs", "-wrapper", "-fplugin"]),
    ("clang", Reach::Value, &["-B", "-Xclang", "-fplugin"]),
    ("rustc", Reach::Value, &["-C", "-Z", "--codegen"]),
    ("openssl", Reach::Value, &["-engine", "-provider", "-provider-path"]),
];

/// Variables of the loader, of interpreters and of tools, and those that the host sets itself.
const VARIABLES: &[&str] = &[
    "BASH_ENV",
    "BROWSER",
    "CDPATH",
    "EDITOR",
    "ENV",
    "GCONV_PATH",
    "GLIBC_TUNABLES",
    "HOME",
    "HOSTALIASES",
    "IFS",
    "JAVA_TOOL_OPTIONS",
    "JDK_JAVA_OPTIONS",
    "LESSCLOSE",
    "LESSOPEN",
    "LOCALDOMAIN",
    "LOCPATH",
    "LOGNAME",
    "MAKEFLAGS",
    "MANPAGER",
    "NLSPATH",
    "PAGER",
    "PATH",
    "PROMPT_COMMAND",
    "PWD",
    "RES_OPTIONS",
    "SHELL",
    "SHELLOPTS",
    "TAPE",
    "TAR_OPTIONS",
    "TERMCAP",
    "TERMINFO",
    "TERMINFO_DIRS",
    "TMPDIR",
    "USER",
    "VISUAL",
    "ZDOTDIR",
];

/// Beginnings of such variables.
const PREFIXES: &[&str] = &[
    "BASH_FUNC",
    "CARGO_",
    "DOCKER_",
    "DYLD_",
    "GCC_",
    "GDB",
    "GIT_",
    "LD_",
    "LUA_",
    "MALLOC_",
    "NODE_",
    "NPM_",
    "PERL",
    "PYTHON",
    "RSYNC_",
    "RUBY",
    "RUST",
    "SSH_",
    "SSL_",
    "XDG_",
    "_",
];

/// Ends of such variables: proxies, and programs to be used.
const SUFFIXES: &[&str] = &["_PROXY", "_PAGER", "_EDITOR", "_COMMAND", "_ASKPASS", "_PRELOAD", "_CMD"];

/// Whether a call may set the variable.
pub(super) fn may_set(name: &str) -> bool {
    !VARIABLES.contains(&name)
        && !PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        && !SUFFIXES.iter().any(|suffix| name.ends_with(suffix))
}

/// The name without a version: `python3.12` is `python`.
fn family(program: &str) -> &str {
    let name = program.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    name.strip_suffix('-').unwrap_or(name)
}

/// Whether a word of `program` that would be run is a slot; the text says which.
pub(super) fn check(program: &str, words: &[Word]) -> Result<(), String> {
    let name = family(program);
    let is_slot = |word: &Word| !word.known().1;
    if INTERPRETERS.contains(&name) && words.iter().any(is_slot) {
        return Err(format!("`{program}` runs what its arguments say"));
    }
    if FIRST_IS_COMMAND.contains(&name) && words.first().is_some_and(is_slot) {
        return Err(format!("the first argument of `{program}` is a command of its own"));
    }
    let flags = FLAGS.iter().filter(|(program, ..)| *program == name);
    for (reach, flag) in flags.flat_map(|(_, reach, flags)| flags.iter().map(|flag| (*reach, *flag))) {
        let mut later = words.iter();
        while let Some(word) = later.next() {
            let (literal, is_all) = word.known();
            if !is_flag(literal, flag) {
                continue;
            }
            let follows = later.clone().take(if reach == Reach::Value { 1 } else { usize::MAX });
            if !is_all || follows.into_iter().any(is_slot) {
                return Err(format!("what follows `{flag}` of `{program}` decides what is run"));
            }
        }
    }
    Ok(())
}

/// Whether a word that begins with `literal` may be `flag`: also with its value attached, as one of
/// several letters, or cut short as far as it can be told from others.
fn is_flag(literal: &str, flag: &str) -> bool {
    let name = literal.split_once('=').map_or(literal, |(name, _)| name);
    let Some(letters) = flag.strip_prefix('-') else { return false };
    if letters.chars().count() == 1 {
        // `-xI` is `-x -I`; a value may follow at once.
        return literal.starts_with('-') && !literal.starts_with("--") && literal.contains(letters);
    }
    if name == flag || literal.starts_with(flag) {
        return true;
    }
    flag.starts_with("--") && name.len() > 2 && flag.starts_with(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_is_seen_however_it_is_spelt() {
        for (literal, flag) in [
            ("--to-command", "--to-command"),
            ("--to-command=x", "--to-command"),
            ("--to-co", "--to-command"),
            ("--to-co=x", "--to-command"),
            ("-I", "-I"),
            ("-Ixz", "-I"),
            ("-xIf", "-I"),
            ("-exec", "-exec"),
        ] {
            assert!(is_flag(literal, flag), "{literal} {flag}");
        }
        for (literal, flag) in
            [("--", "--to-command"), ("-", "-I"), ("--Index", "-I"), ("x", "-I"), ("--tool", "--to-command")]
        {
            assert!(!is_flag(literal, flag), "{literal} {flag}");
        }
    }

    #[test]
    fn a_version_is_no_other_program() {
        for (program, name) in
            [("python3.12", "python"), ("lua5.4", "lua"), ("gcc-13", "gcc"), ("git", "git")]
        {
            assert_eq!(family(program), name);
        }
    }
}
