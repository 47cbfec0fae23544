//! Embeds the built-in jobs `jobs/*.json`: writes the list that `src/spec/builtin.rs` includes. A job is added by
//! adding its file.

use std::{env, fmt::Write, fs, io, path::Path};

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=jobs");
    let root = env::var("CARGO_MANIFEST_DIR").map_err(io::Error::other)?;
    let mut names = Vec::new();
    for entry in fs::read_dir(Path::new(&root).join("jobs"))? {
        let file = entry?.file_name();
        if let Some(name) = file.to_str().and_then(|file| file.strip_suffix(".json")) {
            names.push(name.to_owned());
        }
    }
    names.sort();

    let mut list = String::from("[\n");
    for name in names {
        let path = Path::new(&root).join("jobs").join(format!("{name}.json"));
        writeln!(list, "    Builtin {{ name: {name:?}, text: include_str!({path:?}) }},").map_err(io::Error::other)?;
    }
    list.push_str("]\n");
    let out = env::var("OUT_DIR").map_err(io::Error::other)?;
    fs::write(Path::new(&out).join("builtins.rs"), list)
}
