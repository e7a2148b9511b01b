-- DB instance "catalog", RDS for MySQL that folds names: some data.

-- Stored as catalog, orders_prod and ordersxprod. In a pattern the underscore of orders_prod would also open the last one.
CREATE DATABASE Catalog;
CREATE TABLE Catalog.Items (id INT PRIMARY KEY AUTO_INCREMENT, item VARCHAR(40) NOT NULL);
INSERT INTO Catalog.Items (item) VALUES ('lamp'), ('chair');
CREATE DATABASE Orders_Prod;
CREATE TABLE Orders_Prod.Orders (id INT PRIMARY KEY AUTO_INCREMENT, item VARCHAR(40) NOT NULL);
INSERT INTO Orders_Prod.Orders (item) VALUES ('shelf');
CREATE DATABASE OrdersXProd;
CREATE TABLE OrdersXProd.Orders LIKE Orders_Prod.Orders;
INSERT INTO OrdersXProd.Orders (item) VALUES ('secret');
GRANT SELECT, INSERT ON Catalog.* TO legacy_app@'%';

DELIMITER //
CREATE DEFINER=rdsadmin@localhost PROCEDURE Catalog.Count_Items()
BEGIN
  SELECT COUNT(*) FROM Catalog.Items;
END//
DELIMITER ;
