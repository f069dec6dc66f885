package conn

import (
	"context"
	"encoding/json"

	"github.com/nats-io/nats.go"
)

// User is the user of a connection, as the server reports it. nats-server, events.go, UserInfo.
type User struct {
	Account     string `json:"account"`
	Permissions *struct {
		Publish *struct {
			Allow []string `json:"allow"`
			Deny  []string `json:"deny"`
		} `json:"publish"`
	} `json:"permissions"`
}

// WhoAmI requests the user of the connection and its permissions from the server.
func WhoAmI(ctx context.Context, nc *nats.Conn) (User, error) {
	ctx, cancel := context.WithTimeout(ctx, RequestTimeout) // a user without the permission gets no answer
	defer cancel()
	answer, err := nc.RequestWithContext(ctx, "$SYS.REQ.USER.INFO", nil)
	if err != nil {
		return User{}, err
	}
	var info struct {
		Data User `json:"data"`
	}
	err = json.Unmarshal(answer.Data, &info)
	return info.Data, err
}
