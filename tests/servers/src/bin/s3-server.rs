//! An S3 server over a folder, to try Exeat on: `s3-server --port 9000 --folder DIR`.

use std::path::PathBuf;
use std::process::ExitCode;

use exeat_test_servers::s3::S3Server;

fn main() -> ExitCode {
    let Some((port, folder)) = arguments() else {
        eprintln!("usage: s3-server --port PORT --folder DIR");
        return ExitCode::FAILURE;
    };
    let server = S3Server::start_in(&folder, port);
    println!(
        "# It runs until it is interrupted. Set this, then use {}",
        server.url("a-prefix")
    );
    for (name, value) in server.env() {
        println!("export {name}={value}");
    }
    loop {
        std::thread::park();
    }
}

fn arguments() -> Option<(u16, PathBuf)> {
    let (mut port, mut folder) = (None, None);
    let mut arguments = std::env::args_os().skip(1);
    while let Some(name) = arguments.next() {
        let value = arguments.next()?;
        match name.to_str()? {
            "--port" => port = Some(value.to_str()?.parse().ok()?),
            "--folder" => folder = Some(PathBuf::from(value)),
            _ => return None,
        }
    }
    Some((port?, folder?))
}
