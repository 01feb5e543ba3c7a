//! Keys, ciphers, passwords, tokens and the site's certificate authority
