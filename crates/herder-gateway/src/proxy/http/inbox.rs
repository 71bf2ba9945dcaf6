//! Reading what may not be there.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use tokio::io::{AsyncRead, ReadBuf};

/// How much is read at once, in bytes.
const MOST: usize = 8 * 1024;

/// Reads what there is to the end of an inbox: how many bytes, 0 at the end. The inbox gets room only for
/// what came, so that those who wait need none.
pub(super) fn poll_read_some(
    from: &mut (impl AsyncRead + Unpin),
    context: &mut Context<'_>,
    inbox: &mut BytesMut,
) -> Poll<io::Result<usize>> {
    let mut space = [MaybeUninit::uninit(); MOST];
    let mut space = ReadBuf::uninit(&mut space);
    ready!(Pin::new(from).poll_read(context, &mut space))?;
    inbox.extend_from_slice(space.filled());
    Poll::Ready(Ok(space.filled().len()))
}
