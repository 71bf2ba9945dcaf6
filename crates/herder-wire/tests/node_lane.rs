//! Connections on a Node worker's lane.

use herder_wire::node::{Delivery, Duplicate, LANE_RECORD, Receipt, ReceiptDecoder, ReceiptError};

#[test]
fn a_delivery_is_what_the_preloaded_module_reads() {
    let delivery = Delivery {
        seq: (3 << 40) + 0x0102,
        key: 0x0405_0607,
    };
    let expected = [2, 1, 0, 0, 0, 3, 0, 0, 7, 6, 5, 4, 0, 0, 0, 1];
    assert_eq!(delivery.to_bytes(), expected);
    let duplicate = Duplicate { key: 0x0405_0607 };
    let expected = [0, 0, 0, 0, 0, 0, 0, 0, 7, 6, 5, 4, 0, 0, 0, 2];
    assert_eq!(duplicate.to_bytes(), expected);
}

#[test]
fn receipts_come_as_they_were_written_however_the_stream_is_cut() {
    let said = [
        Receipt::Hello { duplicates: 0 },
        Receipt::Hello { duplicates: 7 },
        Receipt::Taken { seq: 12, count: 4 },
        Receipt::Refused { seq: 13 },
        Receipt::Taken {
            seq: (1 << 53) - 1,
            count: 1,
        },
    ];
    let bytes: Vec<u8> = said.iter().flat_map(|it| it.to_bytes()).collect();
    for size in 1..=bytes.len() {
        let (mut decoder, mut heard) = (ReceiptDecoder::new(), Vec::new());
        for piece in bytes.chunks(size) {
            decoder.push(piece);
            while let Some(receipt) = decoder.next().expect("good records") {
                heard.push(receipt);
            }
            assert!(decoder.unfinished().len() < LANE_RECORD);
        }
        assert_eq!(heard, said, "in pieces of {size}");
        assert!(decoder.unfinished().is_empty());
    }
}

#[test]
fn what_no_module_of_ours_writes_is_refused() {
    let bad = |receipt: Receipt, index: usize, value: u8| {
        let mut bytes = receipt.to_bytes();
        bytes[index] = value;
        Receipt::from_bytes(&bytes).expect_err("it is bad")
    };
    let taken = Receipt::Taken { seq: 1, count: 1 };
    assert_eq!(
        bad(taken, 8, 0),
        ReceiptError::BadCount { kind: 2, count: 0 }
    );
    assert_eq!(
        bad(taken, 0, 0),
        ReceiptError::BadNumber { kind: 2, seq: 0 }
    );
    let hello = Receipt::Hello { duplicates: 7 };
    assert_eq!(
        bad(hello, 8, 65),
        ReceiptError::BadCount { kind: 1, count: 65 }
    );
    assert_eq!(
        bad(hello, 0, 9),
        ReceiptError::BadNumber { kind: 1, seq: 9 }
    );
    assert_eq!(
        bad(taken, 14, 1),
        ReceiptError::UnknownKind { last: 0x0201_0000 }
    );
    assert_eq!(
        Receipt::from_bytes(b"{\"cmd\":\"NODE_CLU"),
        Err(ReceiptError::UnknownKind {
            last: u32::from_le_bytes(*b"_CLU")
        })
    );
}
