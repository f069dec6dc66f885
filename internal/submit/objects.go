package submit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"receiver/internal/job"
)

// Object is something the service behind the platform has rows of.
type Object struct {
	Name string `json:"name"`
	// VendorName is the service's own name for it, and Type one of "vdr", "vendor"
	// and "ceCanonical"; both are empty when the platform gives only names.
	VendorName string `json:"vendor_name,omitempty"`
	Type       string `json:"type,omitempty"`
}

// Objects lists the objects of the instance, in the platform's order. It asks for
// the version called Helium, which describes them, and takes the older list of
// names as well. OC: (a) row 4.
func (c *Client) Objects(ctx context.Context) ([]Object, error) {
	k := call{
		method: http.MethodGet, path: c.hub + "/objects", timeout: c.timeout,
		header: http.Header{"Elements-Version": {"Helium"}},
	}
	a, err := c.fetch(ctx, k)
	if err != nil {
		return nil, err
	}
	objects, err := readObjects(a.body)
	if err != nil {
		return nil, unreadable(k, err)
	}
	return objects, nil
}

func readObjects(body []byte) ([]Object, error) {
	rows, err := array(body)
	if err != nil {
		return nil, err
	}
	objects := make([]Object, 0, len(rows))
	for i, row := range rows {
		o := Object{Name: text(row)}
		if f, err := object(row); err == nil {
			o = Object{Name: f.Text("name"), VendorName: f.Text("vendorName"), Type: f.Text("type")}
		}
		if o.Name == "" {
			return nil, fmt.Errorf("object %d has no name", i+1)
		}
		objects = append(objects, o)
	}
	return objects, nil
}

// Metadata describes the fields of an object.
type Metadata struct {
	Fields []Field         `json:"fields"`
	Raw    json.RawMessage `json:"-"` // the whole answer, as it came
}

// Field is one field of an object. Only Type and VendorPath are always given; a nil pointer means
// that the platform does not say. A value of another type than documented is left out here and is
// in Metadata.Raw.
type Field struct {
	Type              string   `json:"type"`
	VendorPath        string   `json:"vendor_path"`
	VendorDisplayName string   `json:"vendor_display_name,omitempty"`
	VendorNativeType  string   `json:"vendor_native_type,omitempty"`
	VendorRequired    *bool    `json:"vendor_required,omitempty"`
	VendorReadOnly    *bool    `json:"vendor_read_only,omitempty"`
	Mask              string   `json:"mask,omitempty"`
	Format            string   `json:"format,omitempty"`
	Filterable        *bool    `json:"filterable,omitempty"`
	Createable        *bool    `json:"createable,omitempty"`
	Updateable        *bool    `json:"updateable,omitempty"`
	Description       string   `json:"description,omitempty"`
	Custom            *bool    `json:"custom,omitempty"`
	Hidden            *bool    `json:"hidden,omitempty"`
	Methods           []Method `json:"methods,omitempty"`
}

// platformField is Field with the platform's names.
type platformField struct {
	Type              string   `json:"type"`
	VendorPath        string   `json:"vendorPath"`
	VendorDisplayName string   `json:"vendorDisplayName"`
	VendorNativeType  string   `json:"vendorNativeType"`
	VendorRequired    *bool    `json:"vendorRequired"`
	VendorReadOnly    *bool    `json:"vendorReadOnly"`
	Mask              string   `json:"mask"`
	Format            string   `json:"format"`
	Filterable        *bool    `json:"filterable"`
	Createable        *bool    `json:"createable"`
	Updateable        *bool    `json:"updateable"`
	Description       string   `json:"description"`
	Custom            *bool    `json:"custom"`
	Hidden            *bool    `json:"hidden"`
	Methods           []Method `json:"method"`
}

// Method says in which parts of a call to the service a field appears.
type Method struct {
	Name     string `json:"name"`
	Request  bool   `json:"request"`
	Response bool   `json:"response"`
}

// Metadata describes the fields of object. OC: section 2.
func (c *Client) Metadata(ctx context.Context, object string) (Metadata, error) {
	name, err := segment("object", object)
	if err != nil {
		return Metadata{}, err
	}
	k := call{method: http.MethodGet, path: c.hub + "/objects/" + name + "/metadata", timeout: c.timeout}
	a, err := c.fetch(ctx, k)
	if err != nil {
		return Metadata{}, err
	}
	var answer struct{ Fields []platformField }
	var other *json.UnmarshalTypeError
	if err := json.Unmarshal(job.WithoutMark(a.body), &answer); err != nil && !errors.As(err, &other) {
		return Metadata{}, unreadable(k, err)
	}
	if answer.Fields == nil {
		return Metadata{}, unreadable(k, errors.New("the answer has no list of fields"))
	}
	m := Metadata{Fields: make([]Field, len(answer.Fields)), Raw: a.body}
	for i, f := range answer.Fields {
		m.Fields[i] = Field(f)
	}
	return m, nil
}
