//! Asking the processor for memory ahead of time.

/// Asks for the first cache line of `place`, and does not wait for it. Only a hint: where the
/// instruction is not at hand it does nothing.
#[inline(always)]
pub(super) fn prefetch<T>(place: &T) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};

        #[expect(unsafe_code, reason = "core::hint has no stable prefetch")]
        // SAFETY: the instruction reads nothing that the program can observe and can't fault; it
        // belongs to SSE, which every x86_64 has. The address is that of a reference all the same.
        unsafe {
            _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(place).cast());
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = place;
}
