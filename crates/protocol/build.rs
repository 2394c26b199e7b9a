//! Compiles the `.proto` files, without `protoc`.

use std::error::Error;

const FILES: [&str; 3] = ["common.proto", "coordination.proto", "resources.proto"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    let files = protox::compile(FILES, ["proto"])?;
    tonic_prost_build::configure()
        .build_transport(false)
        .btree_map(".")
        .bytes(".tidegate.v1.Chunk")
        .bytes(".tidegate.v1.LogPart.data")
        .compile_fds(files)?;
    Ok(())
}
