package main

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"millrace/internal/config"
	"millrace/internal/seal"
)

// devEncryption returns the encryption of `millrace dev`: what the environment says,
// else a key of its own in home, made once. Who deletes it loses what it encrypts.
func devEncryption(of config.Encryption, home string) (config.Encryption, error) {
	if of.EncryptionKeys != "" || of.EncryptionKeysFile != "" {
		return of, nil
	}
	path, err := filepath.Abs(filepath.Join(home, "encryption.key"))
	if err != nil {
		return of, fmt.Errorf("MILLRACE_HOME (%s): %w", home, err)
	}
	of.EncryptionKeysFile = path
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) //nolint:gosec // in the folder that MILLRACE_HOME names
	switch {
	case errors.Is(err, fs.ErrExist):
		return of, nil // whatever is wrong with it, reading it tells
	case err != nil:
		return of, fmt.Errorf("MILLRACE_HOME cannot be written to: %w", err)
	}
	key := make([]byte, seal.KeySize)
	_, _ = rand.Read(key) // never fails (crypto/rand)
	_, err = fmt.Fprintf(file, "dev:%s\n", base64.StdEncoding.EncodeToString(key))
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return of, errors.Join(fmt.Errorf("encryption.key cannot be written: %w", err), os.Remove(path))
	}
	return of, nil
}
