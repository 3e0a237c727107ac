package httpapi

import (
	"io"
	"net/http"
	"path"

	"github.com/coggo/coggo/internal/examples"
	"github.com/coggo/coggo/internal/files"
	"github.com/coggo/coggo/internal/prediction"
)

// examples lists the example inputs that the author of the model wrote.
func (a *API) examples(w http.ResponseWriter, r *http.Request) error {
	doc, err := a.model(r)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, examples.Read(a.ModelDir, doc.Predict()).Examples)
	return nil
}

// exampleFile serves a file that an example names, and no other file of the model.
func (a *API) exampleFile(w http.ResponseWriter, r *http.Request) error {
	doc, err := a.model(r)
	if err != nil {
		return err
	}
	name := r.PathValue("path")
	unknown := prediction.Refuse(prediction.NotFound, "no example has this file")
	if !examples.Read(a.ModelDir, doc.Predict()).Files[name] {
		return unknown
	}
	file, err := examples.Open(a.ModelDir, name)
	if err != nil {
		return unknown // it existed a moment ago
	}
	defer file.Close()
	mediaType, err := files.MediaTypeOf(name, file)
	if err != nil {
		return err
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	return serveFile(w, r, path.Base(name), mediaType, file)
}
