// Loaded before a program by `--import`.
globalThis.loaded = 'loaded';
