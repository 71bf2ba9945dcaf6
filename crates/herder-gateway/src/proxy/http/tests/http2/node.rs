//! Node as the client.

use std::process::{Command, Stdio};

use super::super::llhttp::node::program;
use super::*;

/// What a client does and says of it; it is told where the front is.
const PROGRAM: &str = r"
const http2 = require('node:http2');
const client = http2.connect('http://' + process.argv[1]);
function ask(headers, body) {
  return new Promise((resolve, reject) => {
    const request = client.request(headers);
    let status, text = '';
    request.on('response', (head) => { status = head[':status']; });
    request.setEncoding('latin1').on('data', (piece) => { text += piece; });
    request.on('end', () => resolve([status, text]));
    request.on('error', reject);
    request.end(body);
  });
}
(async () => {
  const all = await Promise.all([...Array(80).keys()].map((i) => ask({ ':path': '/' + i })));
  const right = all.every(([status, text], i) => status === 200 && text.startsWith('GET /' + i + ' HTTP/1.1'));
  const long = 'x'.repeat(1_000_000);
  const [status, text] = await ask({ ':path': '/long', ':method': 'POST', 'content-length': long.length }, long);
  console.log(right, status, text.length > long.length && text.endsWith(long));
  client.close();
})();
";

#[test]
fn node_is_served() {
    play(async {
        let rig = Rig::new(|_| {});
        rig.mirror(1);
        rig.mirror(2);
        let mut client = Command::new(program(24));
        client.args(["-e", PROGRAM]).arg(rig.address.to_string());
        client.stdin(Stdio::null());
        let done = tokio::task::spawn_blocking(move || client.output());
        let done = done.await.unwrap().unwrap();
        let errors = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{errors}");
        assert_eq!(
            String::from_utf8_lossy(&done.stdout),
            "true 200 true\n",
            "{errors}"
        );
    });
}
