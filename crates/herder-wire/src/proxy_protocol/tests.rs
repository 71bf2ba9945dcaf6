use super::*;

fn v1(line: &str) -> Result<Option<(Header, usize)>, HeaderError> {
    Header::decode(line.as_bytes())
}

fn origin(client: &str, server: &str) -> Origin {
    Origin {
        client: client.parse().unwrap(),
        server: server.parse().unwrap(),
        tls: None,
    }
}

/// A header of version 2 with the family and body given.
fn v2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
    header.extend([command, family]);
    header.extend(u16::try_from(body.len()).unwrap().to_be_bytes());
    header.extend(body);
    header
}

/// 192.0.2.1:4660 to 198.51.100.7:443, and what follows.
fn v4_with(more: &[u8]) -> Vec<u8> {
    let mut body = vec![192, 0, 2, 1, 198, 51, 100, 7, 0x12, 0x34, 0x01, 0xBB];
    body.extend(more);
    v2(0x21, 0x11, &body)
}

#[test]
fn a_line_names_client_and_server() {
    let line = "PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\nGET / HTTP/1.1\r\n";
    let (header, length) = v1(line).unwrap().unwrap();
    assert_eq!(&line[length..], "GET / HTTP/1.1\r\n");
    let expected = origin("192.0.2.1:56324", "198.51.100.7:443");
    assert_eq!(header, Header::Client(expected));

    let (header, _) = v1("PROXY TCP6 2001:db8::1 ::1 0 65535\r\n")
        .unwrap()
        .unwrap();
    let expected = origin("[2001:db8::1]:0", "[::1]:65535");
    assert_eq!(header, Header::Client(expected));
}

#[test]
fn an_unknown_client_may_be_followed_by_anything_in_the_line() {
    for line in [
        "PROXY UNKNOWN\r\n",
        "PROXY UNKNOWN ffff::1 whatever 1 2\r\n",
    ] {
        let unknown = Some((Header::Unknown, line.len()));
        assert_eq!(v1(line), Ok(unknown));
    }
}

#[test]
fn r65_a_line_that_is_not_exactly_one_is_refused() {
    for line in [
        "PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\n",
        "PROXY TCP4  192.0.2.1 198.51.100.7 56324 443\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.7 56324 443 \r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.7 56324\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.7 56324 65536\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.7 056324 443\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.7 +56324 443\r\n",
        "PROXY TCP4 192.0.02.1 198.51.100.7 56324 443\r\n",
        "PROXY TCP4 ::1 ::1 56324 443\r\n",
        "PROXY TCP6 192.0.2.1 198.51.100.7 56324 443\r\n",
        "PROXY TCP6 fe80::1%1 ::1 56324 443\r\n",
        "PROXY UDP4 192.0.2.1 198.51.100.7 56324 443\r\n",
        "PROXY tcp4 192.0.2.1 198.51.100.7 56324 443\r\n",
        "PROXY UNKNOWNS\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.7 5\r24 443\r\n",
    ] {
        let refused = v1(line);
        assert!(
            matches!(refused, Err(HeaderError::Malformed(_))),
            "{line:?}: {refused:?}"
        );
    }
    for other in [
        "GET / HTTP/1.1\r\n",
        "PROXZ",
        " PROXY",
        "\r\n\r\n\r",
        "\u{16}\u{3}\u{1}",
    ] {
        assert_eq!(v1(other), Err(HeaderError::None), "{other:?}");
    }
}

#[test]
fn r65_a_line_that_does_not_end_is_refused_at_107_bytes() {
    let long = format!("PROXY UNKNOWN {}", "x".repeat(MAX_V1 - 14));
    assert_eq!(long.len(), MAX_V1);
    assert_eq!(v1(&long[..MAX_V1 - 1]), Ok(None));
    assert_eq!(v1(&long), Err(HeaderError::TooLong(MAX_V1)));
    let late = format!("{}\r\n", &long[..MAX_V1 - 1]);
    assert_eq!(v1(&late), Err(HeaderError::TooLong(MAX_V1)));
    let fits = format!("{}\r\n", &long[..MAX_V1 - 2]);
    assert_eq!(v1(&fits), Ok(Some((Header::Unknown, MAX_V1))));
}

#[test]
fn a_binary_header_names_client_and_server() {
    let mut bytes = v4_with(&[]);
    let length = bytes.len();
    bytes.extend(b"GET");
    let expected = origin("192.0.2.1:4660", "198.51.100.7:443");
    let expected = Some((Header::Client(expected), length));
    assert_eq!(Header::decode(&bytes), Ok(expected));

    let mut body = [0; 36];
    (body[15], body[31], body[33], body[35]) = (1, 2, 80, 90);
    let expected = Header::Client(origin("[::1]:80", "[::2]:90"));
    let bytes = v2(0x21, 0x21, &body);
    assert_eq!(Header::decode(&bytes), Ok(Some((expected, bytes.len()))));
}

#[test]
fn who_connects_for_itself_or_for_somebody_unknown_says_so() {
    for (bytes, header) in [
        (v2(0x20, 0, &[]), Header::Local),
        (v2(0x20, 0x77, &[1, 2, 3]), Header::Local),
        (v2(0x21, 0, &[1, 2, 3]), Header::Unknown),
        (v2(0x21, 0x31, &[0; 216]), Header::Unknown),
    ] {
        assert_eq!(Header::decode(&bytes), Ok(Some((header, bytes.len()))));
    }
}

#[test]
fn r65_a_binary_header_that_contradicts_itself_is_refused() {
    for bytes in [
        v2(0x11, 0x11, &[0; 12]),
        v2(0x22, 0x11, &[0; 12]),
        v2(0x21, 0x12, &[0; 12]),
        v2(0x21, 0x01, &[0; 12]),
        v2(0x21, 0x11, &[0; 11]),
        v2(0x21, 0x21, &[0; 35]),
        v4_with(&[4, 0]),
        v4_with(&[4, 0, 2, 0]),
        v4_with(&[2, 0, 1, 0xFF]),
        v4_with(&[1, 0, 1, b'x', 1, 0, 1, b'x']),
        v4_with(&[3, 0, 1, 0]),
        v4_with(&[0x20, 0, 4, 1, 0, 0, 0]),
    ] {
        let refused = Header::decode(&bytes);
        assert!(
            matches!(refused, Err(HeaderError::Malformed(_))),
            "{bytes:x?}: {refused:?}"
        );
    }
    let long = v2(0x20, 0, &[0; MAX_V2]);
    assert_eq!(
        Header::decode(&long[..16]),
        Err(HeaderError::TooLong(MAX_V2))
    );
}

#[test]
fn a_checksum_is_checked() {
    let mut bytes = v4_with(&[4, 0, 1, 0, 3, 0, 4, 0, 0, 0, 0]);
    let sum = crc::crc32c(bytes.iter().copied());
    let at = bytes.len() - 4;
    bytes[at..].copy_from_slice(&sum.to_be_bytes());
    assert!(matches!(Header::decode(&bytes), Ok(Some(_))));
    bytes[17] ^= 1;
    assert_eq!(Header::decode(&bytes), Err(HeaderError::Damaged));
}

#[test]
fn what_was_agreed_by_tls_is_said() {
    let tls = Tls {
        version: Some("TLSv1.3".to_owned()),
        alpn: Some(b"h2".to_vec()),
        authority: Some("herder.example".to_owned()),
    };
    let mut origin = origin("192.0.2.1:1", "[2001:db8::1]:2");
    origin.tls = Some(tls.clone());
    let mut bytes = Vec::new();
    Header::Client(origin).encode(Version::V2, &mut bytes);
    let Ok(Some((Header::Client(again), _))) = Header::decode(&bytes) else {
        panic!("{bytes:x?}");
    };
    assert_eq!(again.tls, Some(tls));
    // One header has room for addresses of one kind.
    assert_eq!(again.client, "[::ffff:192.0.2.1]:1".parse().unwrap());
}

#[test]
fn a_header_in_pieces_is_the_header() {
    let mut headers = vec![Vec::new(), Vec::new()];
    let client = Header::Client(origin("[2001:db8::1]:5", "[::1]:6"));
    client.encode(Version::V1, &mut headers[0]);
    client.encode(Version::V2, &mut headers[1]);
    for header in headers {
        for length in 0..header.len() {
            assert_eq!(Header::decode(&header[..length]), Ok(None), "{length}");
        }
        assert_eq!(
            Header::decode(&header),
            Ok(Some((client.clone(), header.len())))
        );
    }
}
