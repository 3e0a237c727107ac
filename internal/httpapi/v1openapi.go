package httpapi

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/coggo/coggo/internal/schema"
)

// documentV1 describes the paths under /v1 with the names of Replicate's own document. It has
// placeholders for the parts that depend on the model.
//
//go:embed v1openapi.json
var documentV1 string

// openapiV1 answers with documentV1 and the model's schemas.
func (a *API) openapiV1(w http.ResponseWriter, r *http.Request) error {
	m, err := a.model(r)
	if err != nil {
		return err
	}
	whole, err := completeV1(m.Document, a.path(r, "/v1"))
	if err == nil {
		writeJSON(w, http.StatusOK, whole)
	}
	return err
}

// completeV1 replaces the placeholders of documentV1. base is the URL of its paths.
func completeV1(doc *schema.Document, base string) (whole map[string]any, err error) {
	var request struct {
		Required []string `json:"required"`
	}
	components := doc.Components()
	if err := components.Decode(schema.PredictRequest, &request); err != nil {
		return nil, fmt.Errorf("read the model's document: %w", err)
	}
	object := `{"$ref":"#/components/schemas/PredictionResponse"}`
	if doc.Train() != nil { // predictions and trainings share their ids
		object = `{"anyOf":[` + object + `,{"$ref":"#/components/schemas/TrainingResponse"}]}`
	}
	prediction := `{"description":"Success","content":{"application/json":` +
		`{"schema":{"$ref":"#/components/schemas/schemas_prediction_response"}}}}`
	text := strings.NewReplacer(
		"{{demanding}}", fmt.Sprint(len(request.Required) > 0),
		"{{object}}", object,
		"{{created}}", `{"201":`+prediction+
			refusedV1("400", "401", "404", "408", "409", "413", "415", "422", "429", "503")+`}`,
		"{{found}}", `{"200":`+prediction+refusedV1("401", "404", "503")+`}`,
	).Replace(documentV1)
	if err := json.Unmarshal([]byte(text), &whole); err != nil {
		return nil, fmt.Errorf("complete the document: %w", err)
	}
	// The file has these members.
	schemas := whole["components"].(map[string]any)["schemas"].(map[string]any)
	for name, component := range components {
		schemas[name] = component
	}
	whole["servers"] = []map[string]string{{"url": base}}
	if about := doc.Description(); about != "" {
		info := whole["info"].(map[string]any)
		info["description"] = fmt.Sprint(about, "\n\n", info["description"])
	}
	return whole, nil
}

// refusedV1 returns the end of a list of responses.
func refusedV1(codes ...string) string {
	var out strings.Builder
	for _, code := range codes {
		fmt.Fprintf(&out, `,%q:{"$ref":"#/components/responses/refused"}`, code)
	}
	return out.String()
}
