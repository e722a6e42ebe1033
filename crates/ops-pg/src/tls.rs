//! TLS by rustls, with the modes of libpq.
