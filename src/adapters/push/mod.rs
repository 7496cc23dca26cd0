//! Push services, which show messages on people's phones.
