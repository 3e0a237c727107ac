package files

import (
	"io"
	"mime"
	"path"
	"strings"

	"github.com/gabriel-vasile/mimetype"
)

const unknownType = "application/octet-stream"

// types are the media types that models exchange most. Because they are listed here, they are the
// same on every machine. The tables of the system, if it has any, have the others. Files get the
// first extension of their type.
var types = []struct{ extension, mediaType string }{
	{".txt", "text/plain"}, {".log", "text/plain"}, {".md", "text/markdown"}, {".csv", "text/csv"},
	{".html", "text/html"},
	{".htm", "text/html"}, {".srt", "application/x-subrip"}, {".vtt", "text/vtt"},
	{".json", "application/json"},
	{".jsonl", "application/jsonl"}, {".yaml", "application/yaml"}, {".yml", "application/yaml"},
	{".xml", "application/xml"},
	{".pdf", "application/pdf"},
	{".png", "image/png"}, {".jpg", "image/jpeg"}, {".jpeg", "image/jpeg"}, {".gif", "image/gif"},
	{".webp", "image/webp"},
	{".avif", "image/avif"}, {".heic", "image/heic"}, {".bmp", "image/bmp"},
	{".tiff", "image/tiff"}, {".tif", "image/tiff"},
	{".svg", "image/svg+xml"}, {".ico", "image/x-icon"}, {".exr", "image/x-exr"},
	{".mp3", "audio/mpeg"}, {".wav", "audio/x-wav"}, {".flac", "audio/flac"}, {".ogg", "audio/ogg"},
	{".opus", "audio/opus"},
	{".m4a", "audio/mp4"}, {".aac", "audio/aac"}, {".mid", "audio/midi"}, {".mid", "audio/x-midi"},
	{".wav", "audio/wav"},
	{".wav", "audio/wave"}, {".mp3", "audio/mp3"}, {".m4a", "audio/x-m4a"},
	{".mp4", "video/mp4"}, {".webm", "video/webm"}, {".mov", "video/quicktime"},
	{".avi", "video/x-msvideo"}, {".mkv", "video/x-matroska"},
	{".glb", "model/gltf-binary"}, {".gltf", "model/gltf+json"}, {".obj", "model/obj"},
	{".stl", "model/stl"},
	{".zip", "application/zip"}, {".gz", "application/gzip"}, {".tgz", "application/gzip"},
	{".tar", "application/x-tar"},
	{".jpg", "image/jpg"}, {".bin", unknownType}, {".pt", unknownType}, {".pth", unknownType},
	{".ckpt", unknownType},
	{".npy", unknownType}, {".npz", unknownType}, {".safetensors", unknownType},
}

// extension returns the extension of files of a media type, with its dot; "" if it is unknown.
func extension(mediaType string) string {
	mediaType, _, _ = strings.Cut(mediaType, ";")
	mediaType = strings.ToLower(strings.TrimSpace(mediaType))
	for _, t := range types {
		if t.mediaType == mediaType {
			return t.extension
		}
	}
	if known := mimetype.Lookup(mediaType); known != nil && known.Extension() != "" {
		return known.Extension()
	}
	if all, err := mime.ExtensionsByType(mediaType); err == nil && len(all) > 0 {
		return all[0]
	}
	return ""
}

// MediaTypeOf returns the media type of a file by its extension; never "". If the extension is
// unknown, it recognizes pictures, sounds and films by their contents, read from the start. It does
// not trust contents for other types: they would be a guess.
func MediaTypeOf(name string, contents io.Reader) (string, error) {
	ext := strings.ToLower(path.Ext(name))
	for _, t := range types {
		if t.extension == ext {
			return t.mediaType, nil
		}
	}
	if bare, _, err := mime.ParseMediaType(mime.TypeByExtension(ext)); err == nil {
		return bare, nil
	}
	return recognized(contents)
}

func recognized(contents io.Reader) (string, error) {
	sniffed, err := mimetype.DetectReader(contents)
	if err != nil {
		return "", err
	}
	bare, _, _ := strings.Cut(sniffed.String(), ";")
	switch kind, _, _ := strings.Cut(bare, "/"); kind {
	case "image", "audio", "video":
		return bare, nil
	}
	return unknownType, nil
}
