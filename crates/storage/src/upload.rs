//! Files that are too large to be in memory as a whole.

use bytes::Bytes;
use object_store::{ObjectStoreExt, PutPayload, WriteMultipart};
use tokio::sync::mpsc;

use crate::{Place, StoreError};

/// Files of more bytes are uploaded in parts, of this many bytes.
const PART: usize = 8 << 20;
/// How many parts may be under way.
const UNDER_WAY: usize = 2;

impl Place {
    /// Writes a file whose chunks are still being made, without keeping them all; `seen` is shown
    /// each of them, in order.
    ///
    /// # Errors
    ///
    /// When the store does not take it; a part of it may be there.
    pub async fn write_stream(
        &self,
        name: &str,
        mut chunks: mpsc::Receiver<Bytes>,
        mut seen: impl FnMut(&Bytes),
    ) -> Result<(), StoreError> {
        let (path, shown) = self.file(name);
        let failed = |error| StoreError::failed("write", shown.clone(), error);
        let (mut first, mut length, mut upload) = (Vec::new(), 0, None);
        while let Some(chunk) = chunks.recv().await {
            seen(&chunk);
            length += chunk.len();
            first.push(chunk);
            if upload.is_none() && length > PART {
                let parts = self.store().put_multipart(&path).await.map_err(failed)?;
                upload = Some(WriteMultipart::new_with_chunk_size(parts, PART));
            }
            if let Some(writer) = &mut upload {
                writer.wait_for_capacity(UNDER_WAY).await.map_err(failed)?;
                first.drain(..).for_each(|chunk| writer.put(chunk));
            }
        }
        match upload {
            Some(writer) => writer.finish().await.map(drop),
            None => self.store().put(&path, PutPayload::from_iter(first)).await.map(drop),
        }
        .map_err(failed)
    }
}
