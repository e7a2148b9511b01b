// Package image packs files of this machine into a container image, as an OCI archive that a container runtime imports: there
// is no registry and no builder in a world.
package image

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"runtime"
	"slices"
	"strings"
)

// Image is what a container of it finds, and what it runs.
type Image struct {
	// Name is the whole name with its tag.
	Name       string
	Entrypoint []string
	Command    []string
	Files      []File
}

// File is one file of an image: a copy of Source, or Text, or a link to Link.
type File struct {
	Path   string
	Source string
	Text   string
	Link   string
	// Mode is that of a file with Text. A copy is what its source is; executable means that for everybody.
	Mode fs.FileMode
}

const (
	manifestType = "application/vnd.oci.image.manifest.v1+json"
	configType   = "application/vnd.oci.image.config.v1+json"
	layerType    = "application/vnd.oci.image.layer.v1.tar"
)

type object = map[string]any

// Write packs the image. The same files make the same bytes: owners and times are left out.
func (i Image) Write(out io.Writer) error {
	layer, err := i.layer()
	if err != nil {
		return fmt.Errorf("pack the image %s: %w", i.Name, err)
	}
	config := document(object{
		"architecture": runtime.GOARCH, "os": "linux",
		"config": object{
			"Entrypoint": i.Entrypoint, "Cmd": i.Command, "Env": []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"},
		},
		"rootfs": object{"type": "layers", "diff_ids": []string{digest(layer)}},
	})
	manifest := document(object{
		"schemaVersion": 2, "mediaType": manifestType,
		"config": descriptor(configType, config), "layers": []object{descriptor(layerType, layer)},
	})
	named := descriptor(manifestType, manifest)
	named["annotations"] = object{"io.containerd.image.name": i.Name, "org.opencontainers.image.ref.name": tagOf(i.Name)}
	named["platform"] = object{"os": "linux", "architecture": runtime.GOARCH}
	index := document(object{"schemaVersion": 2, "manifests": []object{named}})

	archive := tar.NewWriter(out)
	entries := []entry{{"oci-layout", []byte(`{"imageLayoutVersion":"1.0.0"}`)}, {"index.json", index}}
	for _, blob := range [][]byte{layer, config, manifest} {
		entries = append(entries, entry{"blobs/sha256/" + strings.TrimPrefix(digest(blob), "sha256:"), blob})
	}
	for _, e := range entries {
		header := &tar.Header{Name: e.name, Mode: 0o644, Size: int64(len(e.content)), Typeflag: tar.TypeReg}
		if err := add(archive, header, e.content); err != nil {
			return fmt.Errorf("pack the image %s: %w", i.Name, err)
		}
	}
	return archive.Close()
}

type entry struct {
	name    string
	content []byte
}

func document(o object) []byte {
	// Maps of texts and numbers always encode.
	text, _ := json.Marshal(o)
	return text
}

func digest(content []byte) string {
	sum := sha256.Sum256(content)
	return "sha256:" + hex.EncodeToString(sum[:])
}

func descriptor(mediaType string, content []byte) object {
	return object{"mediaType": mediaType, "digest": digest(content), "size": len(content)}
}

func tagOf(name string) string {
	if colon := strings.LastIndexByte(name, ':'); colon > strings.LastIndexByte(name, '/') {
		return name[colon+1:]
	}
	return "latest"
}

func add(archive *tar.Writer, header *tar.Header, content []byte) error {
	if err := archive.WriteHeader(header); err != nil {
		return err
	}
	_, err := archive.Write(content)
	return err
}

// layer is the tar of the files with the folders that they are in, and a /tmp for everybody.
func (i Image) layer() ([]byte, error) {
	files := slices.Clone(i.Files)
	slices.SortFunc(files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	var out bytes.Buffer
	archive := tar.NewWriter(&out)
	made := map[string]bool{"/": true}
	if err := folder(archive, made, "/tmp", 0o1777); err != nil {
		return nil, err
	}
	for n, f := range files {
		if !path.IsAbs(f.Path) || path.Clean(f.Path) != f.Path {
			return nil, fmt.Errorf("%q is no clean path from the root", f.Path)
		}
		if n > 0 && files[n-1].Path == f.Path {
			return nil, fmt.Errorf("%s is there twice", f.Path)
		}
		if err := folder(archive, made, path.Dir(f.Path), 0o755); err != nil {
			return nil, err
		}
		if err := f.pack(archive); err != nil {
			return nil, err
		}
	}
	err := archive.Close()
	return out.Bytes(), err
}

func folder(archive *tar.Writer, made map[string]bool, name string, mode int64) error {
	if made[name] {
		return nil
	}
	if err := folder(archive, made, path.Dir(name), 0o755); err != nil {
		return err
	}
	made[name] = true
	return archive.WriteHeader(&tar.Header{Name: name[1:] + "/", Mode: mode, Typeflag: tar.TypeDir})
}

func (f File) pack(archive *tar.Writer) error {
	header := &tar.Header{Name: f.Path[1:], Mode: int64(f.Mode.Perm()), Typeflag: tar.TypeReg}
	if f.Link != "" {
		header.Typeflag, header.Linkname, header.Mode = tar.TypeSymlink, f.Link, 0o777
		return archive.WriteHeader(header)
	}
	content := []byte(f.Text)
	if f.Source != "" {
		info, err := os.Stat(f.Source)
		if err == nil && !info.Mode().IsRegular() {
			err = errors.New("it is no file")
		}
		if err == nil {
			content, err = os.ReadFile(f.Source)
		}
		if err != nil {
			return fmt.Errorf("copy %s: %w", f.Source, err)
		}
		header.Mode = 0o644
		if info.Mode()&0o111 != 0 {
			header.Mode = 0o755
		}
	}
	header.Size = int64(len(content))
	return add(archive, header, content)
}
