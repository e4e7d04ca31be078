//! Has the linker put together what runs when a server starts: see scripts/order.

use std::{
    collections::BTreeSet,
    env, fs, io,
    path::{Path, PathBuf},
};

const ORDER: &str = "link/order.txt";
/// What stands before a hash (Rust's legacy mangling), and how long both are.
const HASH: &str = "17h";
const HASH_LENGTH: usize = HASH.len() + 16;

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed={ORDER}");
    println!("cargo::rerun-if-changed=build.rs");
    if is_wanted() {
        let directory = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
        let script = directory.join("order.ld");
        fs::write(&script, linker_script(&fs::read_to_string(ORDER)?))?;
        tell_linker(&script);
    }
    Ok(())
}

/// The linkers of GNU and LLVM take such a script. Others do not, and who has chosen one has said so here.
fn is_wanted() -> bool {
    let is = |name: &str, value: &str| env::var_os(name).is_some_and(|is| is == value);
    let flags = env::var_os("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    let flags = flags.to_string_lossy();
    let mut options = flags
        .split('\x1f')
        .map(|flag| flag.trim_start_matches("-C"));
    let has_own =
        env::var_os("RUSTC_LINKER").is_some() || options.any(|option| option.starts_with("link"));
    is("CARGO_CFG_TARGET_OS", "linux") && is("PROFILE", "release") && !has_own
}

fn tell_linker(script: &Path) {
    println!("cargo::rustc-link-arg-bins=-Wl,-T,{}", script.display());
}

/// Each function has a section of its own. First come those that are named, then those of the same name
/// and another hash, then all others: what a profile has seen run often (scripts/pgo), what it has not,
/// and what never ran.
fn linker_script(names: &str) -> String {
    let names: Vec<_> = names.lines().collect();
    let similar: BTreeSet<_> = names.iter().filter_map(|name| without_hash(name)).collect();
    let similar = similar.into_iter().map(|name| format!("{name}{HASH}*"));
    let named = names.iter().map(|&name| name.to_owned());
    let sections: String = named
        .chain(similar)
        .map(|name| format!("*(.text.{name} .text.hot.{name} .text.unlikely.{name})\n"))
        .collect();
    let others = "*(.text.hot .text.hot.*)\n*(.text .text.[!u]* .text.u[!n]*)\n*(.text.*)";
    format!("SECTIONS {{ .text : {{\n{sections}{others}\n}} }} INSERT BEFORE .init;\n")
}

fn without_hash(name: &str) -> Option<&str> {
    let end = name.rfind(HASH)?;
    let hash = name.get(end..end + HASH_LENGTH)?;
    let is_hash = hash[HASH.len()..].bytes().all(|b| b.is_ascii_hexdigit());
    is_hash.then(|| &name[..end])
}
