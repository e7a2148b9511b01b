// Command login logs in with go-sql-driver from the files of a mounted Secret, and prints who the server takes it for.
package main

import (
	"database/sql"
	"fmt"
	"os"
	"path/filepath"

	_ "github.com/go-sql-driver/mysql"
)

func main() {
	account, err := login(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(account)
}

func login(folder string) (string, error) {
	dsn, err := os.ReadFile(filepath.Join(folder, "go.dsn"))
	if err != nil {
		return "", err
	}
	db, err := sql.Open("mysql", string(dsn))
	if err != nil {
		return "", err
	}
	defer db.Close()
	var account string
	err = db.QueryRow("SELECT CURRENT_USER()").Scan(&account)
	return account, err
}
