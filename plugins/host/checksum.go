package host

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/hashicorp/go-plugin"

	"bittern/plugins"
)

// verify compares an executable with the checksum that a suite gives for it;
// with none, any executable will do. It guards against a plugin that is not the
// one meant. It is no guard against somebody who can replace the file between
// this and the start.
func verify(entry Entry, checksum string) error {
	if checksum == "" {
		return nil
	}
	want, err := hex.DecodeString(checksum)
	if err != nil || len(want) != sha256.Size {
		return plugins.Problemf("the checksum %q of %s is no SHA-256; give 64 hexadecimal digits", checksum, entry.ID)
	}
	hash := sha256.New()
	same, err := (&plugin.SecureConfig{Checksum: want, Hash: hash}).Check(entry.Path)
	if err != nil {
		return fmt.Errorf("verify the checksum of %s: %w", entry.ID, err)
	}
	if !same {
		return plugins.Problemf("%s (%s) has the SHA-256 %x, but the suite asks for %x; install that version or change the suite", entry.ID, entry.Path, hash.Sum(nil), want)
	}
	return nil
}
