-- DB instance "billing", RDS for MariaDB: its master user, and some data.

-- Only root's UNIX socket stays of what the installation made.
DELETE FROM mysql.global_priv WHERE User IN ('', 'root') AND Host <> 'localhost';
DELETE FROM mysql.global_priv WHERE User = '';
DELETE FROM mysql.proxies_priv WHERE Host <> 'localhost';
FLUSH PRIVILEGES;

CREATE USER admin@'%' IDENTIFIED BY 'until-the-world-starts';
GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, RELOAD, PROCESS, REFERENCES, INDEX, ALTER, SHOW DATABASES,
  CREATE TEMPORARY TABLES, LOCK TABLES, EXECUTE, REPLICATION SLAVE, REPLICATION CLIENT, CREATE VIEW, SHOW VIEW,
  CREATE ROUTINE, ALTER ROUTINE, CREATE USER, EVENT, TRIGGER
  ON *.* TO admin@'%' WITH GRANT OPTION;

-- In a pattern the underscore of billing_archive would also open billingXarchive.
CREATE DATABASE billing;
CREATE TABLE billing.invoices (id INT PRIMARY KEY AUTO_INCREMENT, customer VARCHAR(40) NOT NULL, cents INT NOT NULL);
INSERT INTO billing.invoices (customer, cents) VALUES ('ada', 1250), ('grace', 990);
CREATE DATABASE billing_archive;
CREATE TABLE billing_archive.invoices LIKE billing.invoices;
INSERT INTO billing_archive.invoices (customer, cents) VALUES ('alan', 400);
CREATE DATABASE billingXarchive;
CREATE TABLE billingXarchive.invoices LIKE billing.invoices;
INSERT INTO billingXarchive.invoices (customer, cents) VALUES ('secret', 700);
GRANT SELECT, INSERT ON billing.* TO legacy_app@'%';

DELIMITER //
CREATE DEFINER=rdsadmin@localhost PROCEDURE billing.waive(IN wanted INT)
BEGIN
  UPDATE billing.invoices SET cents = 0 WHERE id = wanted;
END//
CREATE DEFINER=rdsadmin@localhost FUNCTION billing.owed(wanted VARCHAR(40)) RETURNS INT READS SQL DATA
BEGIN
  RETURN (SELECT COALESCE(SUM(cents), 0) FROM billing.invoices WHERE customer = wanted);
END//
DELIMITER ;
