package image

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func contents(t *testing.T, archive []byte) (map[string]string, map[string]*tar.Header) {
	t.Helper()
	texts, headers := map[string]string{}, map[string]*tar.Header{}
	for reader := tar.NewReader(bytes.NewReader(archive)); ; {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return texts, headers
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(reader)
		if err != nil {
			t.Fatal(err)
		}
		texts[header.Name], headers[header.Name] = string(text), header
	}
}

func pack(t *testing.T, i Image) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := i.Write(&out); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestAnArchiveHoldsEverythingThatItsIndexNames(t *testing.T) {
	source := filepath.Join(t.TempDir(), "tool")
	if err := os.WriteFile(source, []byte("#!/bin/sh\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	i := Image{Name: "example.com/tool:1.2", Command: []string{"/opt/tool"}, Files: []File{
		{Path: "/opt/tool", Source: source}, {Path: "/etc/passwd", Text: "app:x:1000:1000::/:\n", Mode: 0o644},
		{Path: "/bin/tool", Link: "/opt/tool"},
	}}
	archive := pack(t, i)
	if !bytes.Equal(archive, pack(t, i)) {
		t.Error("the same files made two archives")
	}
	blobs, _ := contents(t, archive)
	read := func(digest any, into any) string {
		text, there := blobs["blobs/sha256/"+strings.TrimPrefix(digest.(string), "sha256:")]
		if !there || digestOf(text) != digest {
			t.Fatalf("no blob of the digest %v", digest)
		}
		if into != nil {
			if err := json.Unmarshal([]byte(text), into); err != nil {
				t.Fatal(err)
			}
		}
		return text
	}
	var index, manifest, config object
	if err := json.Unmarshal([]byte(blobs["index.json"]), &index); err != nil {
		t.Fatal(err)
	}
	named := index["manifests"].([]any)[0].(object)
	if name := named["annotations"].(object)["io.containerd.image.name"]; name != i.Name {
		t.Errorf("the image is called %v", name)
	}
	read(named["digest"], &manifest)
	read(manifest["config"].(object)["digest"], &config)
	layer := manifest["layers"].([]any)[0].(object)["digest"]
	if config["rootfs"].(object)["diff_ids"].([]any)[0] != layer {
		t.Error("the layer is not the one that the configuration names")
	}
	files, headers := contents(t, []byte(read(layer, nil)))
	if files["opt/tool"] != "#!/bin/sh\n" || headers["opt/tool"].Mode != 0o755 || headers["opt/tool"].Uid != 0 {
		t.Errorf("the program is %q, %+v", files["opt/tool"], headers["opt/tool"])
	}
	if headers["bin/tool"].Linkname != "/opt/tool" || headers["tmp/"].Mode != 0o1777 || headers["opt/"] == nil {
		t.Errorf("got %v", headers)
	}
}

func digestOf(text string) string { return digest([]byte(text)) }

func TestAnImageIsNotPackedFromHalfOfItsFiles(t *testing.T) {
	for name, files := range map[string][]File{
		"a file that is gone":   {{Path: "/a", Source: "/no/such/file"}},
		"a folder":              {{Path: "/a", Source: t.TempDir()}},
		"one path twice":        {{Path: "/a"}, {Path: "/a"}},
		"a path out of it":      {{Path: "/../a"}},
		"a path without a root": {{Path: "a"}},
	} {
		if err := (Image{Name: "x:1", Files: files}).Write(io.Discard); err == nil {
			t.Errorf("%s: an image was packed", name)
		}
	}
}

func TestAProgramComesWithItsLibraries(t *testing.T) {
	files, err := Programs(context.Background(), Program{Source: "/bin/sh", Path: "/bin/sh"})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(files, func(f File) bool { return strings.HasPrefix(filepath.Base(f.Path), "libc.so") }) {
		t.Errorf("the C library is not among %v", files)
	}
}

func TestALibraryThatIsNotThereIsAFailure(t *testing.T) {
	paths, err := librariesIn("\tlinux-vdso.so.1 (0x1)\n\tlibc.so.6 => /lib/libc.so.6 (0x2)\n\t/lib64/ld.so.2 (0x3)\n")
	if err != nil || !slices.Equal(paths, []string{"/lib/libc.so.6", "/lib64/ld.so.2"}) {
		t.Errorf("got %v, %v", paths, err)
	}
	if _, err := librariesIn("\tlibgone.so.1 => not found\n"); err == nil {
		t.Error("a missing library was overlooked")
	}
}
