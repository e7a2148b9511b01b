-- DB cluster "ledger", Aurora MySQL 3: what Aurora gives beyond RDS for MySQL, and some data.

GRANT CONNECTION_ADMIN, SHOW_ROUTINE ON *.* TO rds_superuser_role WITH GRANT OPTION;
CREATE USER rdsrepladmin@'%' IDENTIFIED BY 'until-the-world-starts';
GRANT REPLICATION SLAVE ON *.* TO rdsrepladmin@'%';

-- In a pattern the underscore of ledger_archive would also open ledgerXarchive, if partial_revokes were off.
CREATE DATABASE ledger;
CREATE TABLE ledger.entries (id INT PRIMARY KEY AUTO_INCREMENT, account VARCHAR(40) NOT NULL, cents INT NOT NULL);
INSERT INTO ledger.entries (account, cents) VALUES ('rent', -90000), ('salary', 280000), ('books', -4000);
CREATE DATABASE ledger_archive;
CREATE TABLE ledger_archive.entries LIKE ledger.entries;
INSERT INTO ledger_archive.entries (account, cents) VALUES ('rent', -88000);
CREATE DATABASE ledgerXarchive;
CREATE TABLE ledgerXarchive.entries LIKE ledger.entries;
INSERT INTO ledgerXarchive.entries (account, cents) VALUES ('secret', 700);
GRANT SELECT, INSERT ON ledger.* TO legacy_app@'%';

DELIMITER //
CREATE DEFINER=rdsadmin@localhost PROCEDURE ledger.cancel(IN wanted INT)
BEGIN
  UPDATE ledger.entries SET cents = 0 WHERE id = wanted;
END//
CREATE DEFINER=rdsadmin@localhost FUNCTION ledger.balance(wanted VARCHAR(40)) RETURNS INT READS SQL DATA
BEGIN
  RETURN (SELECT COALESCE(SUM(cents), 0) FROM ledger.entries WHERE account = wanted);
END//
DELIMITER ;
