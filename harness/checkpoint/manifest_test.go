package checkpoint

import "testing"

// A manifest that parses never names a file outside its folder.
func FuzzManifest(f *testing.F) {
	for _, file := range []string{"tensors-00.safetensors", "../tensors-00.safetensors"} {
		text, err := document{Format: Format, Manifest: Manifest{Experiment: "c", Step: 3}, File: file, SHA256: "00"}.render()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte(`{"format":-1}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		doc, err := parse(text)
		if err != nil || doc.Format != Format {
			return
		}
		for _, r := range doc.File {
			if r == '/' {
				t.Errorf("%q names the file %q", text, doc.File)
			}
		}
	})
}
